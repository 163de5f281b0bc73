from dataclasses import replace

import pytest

pytest.importorskip("torch")

import torch

from benchmarks import classic
from nst_core.base.iterative_settings import PLAIN_SETTINGS
from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.features.catalogue import load_features
from nst_core.features.combined import CombinedNetwork
from nst_core.iterative.render import render


@pytest.mark.parametrize("centred", [True, False])
def test_classic_render_matches_our_plain_lbfgs(centred, slim_weights):
    """With the same losses and two networks combined, the pictures are the same except for rounding."""
    network = CombinedNetwork([load_features("compact"), load_features(str(slim_weights))])
    noise = torch.Generator().manual_seed(0)
    photo, style = (torch.rand(1, 3, 40, 56, generator=noise) for _ in range(2))
    settings = replace(
        PLAIN_SETTINGS, objective=ObjectiveSettings(centred=centred), size=48, optimizer="lbfgs", iterations=6
    )
    theirs, ours = [], []
    last = classic.render(photo, style, network, settings, lambda p: theirs.append(p) or p.iteration < 5)
    render(photo, style, network, settings, lambda p: ours.append(p) or p.iteration < 5)
    assert last is theirs[-1] and len(theirs) == len(ours) == 5
    for one, other in zip(theirs, ours, strict=True):
        assert (one.iteration, one.iterations) == (other.iteration, other.iterations)
        assert one.losses == pytest.approx(other.losses, rel=1e-3)
        torch.testing.assert_close(one.image, other.image, rtol=0, atol=1e-3)
    assert theirs[-1].losses["total"] < 0.9 * theirs[0].losses["total"]
