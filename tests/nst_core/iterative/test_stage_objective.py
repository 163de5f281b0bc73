from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from nst_core.base.iterative_settings import PLAIN_SETTINGS
from nst_core.iterative import stage_objective
from nst_core.iterative.render import render


def test_bfloat16_gives_nearly_the_same_loss(network, pictures, monkeypatch):
    seen = {}
    for precision in ("float32", "bfloat16", "auto"):
        settings = replace(PLAIN_SETTINGS, size=64, optimizer="adam", iterations=1, shift=0, precision=precision)
        monkeypatch.setattr(stage_objective, "computes_in_bfloat16", lambda device: True)
        seen[precision] = render(*pictures, network, settings, lambda p: True)
    exact, rough = seen["float32"], seen["bfloat16"]
    assert torch.equal(rough.image, seen["auto"].image) and not torch.equal(rough.image, exact.image)
    assert rough.image.dtype == torch.float32
    assert rough.losses["total"] == pytest.approx(exact.losses["total"], rel=0.03)  # of the same picture
    monkeypatch.setattr(stage_objective, "computes_in_bfloat16", lambda device: False)
    assert torch.equal(render(*pictures, network, settings, lambda p: True).image, exact.image)


def test_adam_sees_picture_and_photo_moved_in_every_iteration(network, pictures, monkeypatch):
    """A picture that still is the photo has no content loss in any view, since the photo moves with it."""
    seen, forward = [], type(network).forward

    def spy(self, image, *others):
        if image.requires_grad:
            seen.append((*image.shape[-2:], *image[0, 0, 0, :8].tolist()))
        return forward(self, image, *others)

    monkeypatch.setattr(type(network), "forward", spy)
    losses = []
    settings = replace(PLAIN_SETTINGS, size=64, optimizer="adam", iterations=12, learning_rate=1e-9, shift=7)
    again = [render(*pictures, network, settings, lambda p: losses.append(p.losses) or True).image for _ in range(2)]
    assert torch.equal(*again)
    assert len(set(seen[:12])) > 6 and {view[:2] for view in seen} <= {(h, w) for h in (48, 56) for w in (64, 72)}
    assert all(step["content"] < 1e-6 for step in losses) and len({step["style"] for step in losses[:12]}) > 6
