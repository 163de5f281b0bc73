from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.features.catalogue import load_features
from nst_core.losses.functional import mean_activation, relative_square_error
from nst_core.losses.objective import Objective
from nst_core.losses.rows_objective import RowsObjective

BOLD = ObjectiveSettings(content_layers=("relu3_1", "relu4_1"), content_weight=0.6, tv_weight=4.0)
FAITHFUL = replace(
    BOLD, content_layers=("relu2_1", "relu3_1"), content_layer_weights=(0.5, 1.0), content_weight=3.0, tv_weight=2.0
)


@pytest.fixture
def network(slim_weights):
    return load_features(str(slim_weights))


@pytest.fixture
def pictures():
    """Return two styles, two photos and two paintings."""
    generator = torch.Generator().manual_seed(0)
    styles = [torch.rand(1, 3, 48, 64, generator=generator) ** power for power in (1, 3)]
    return styles, torch.rand(2, 3, 48, 64, generator=generator), torch.rand(2, 3, 48, 64, generator=generator) ** 2


@pytest.mark.parametrize("row", [0, 1])
def test_whole_row_has_the_losses_of_its_own_objective(network, pictures, row):
    styles, photos, paintings = pictures
    rows, chosen = RowsObjective(network, (FAITHFUL, BOLD), styles), torch.tensor([1, 0])
    mixtures = torch.eye(2)[[row, row]]
    losses = rows(paintings, rows.content_targets(photos), chosen, mixtures)
    own = Objective(network, (FAITHFUL, BOLD)[row], styles)
    expected = own(paintings, own.content_targets(photos), chosen)
    assert losses.keys() == expected.keys()
    torch.testing.assert_close(losses, expected)


def test_mixture_has_the_mixture_of_the_losses_of_each_picture(network, pictures):
    styles, photos, paintings = pictures
    rows, mixtures = RowsObjective(network, (FAITHFUL, BOLD), styles), torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    total = rows(paintings, rows.content_targets(photos), torch.tensor([1, 0]), mixtures)["total"]
    expected = torch.zeros(())
    for n, style in enumerate((1, 0)):
        for share, settings in zip(mixtures[n], (FAITHFUL, BOLD), strict=True):
            own = Objective(network, settings, [styles[style]])
            expected += share * own(paintings[n : n + 1], own.content_targets(photos[n : n + 1]))["total"] / 2
    torch.testing.assert_close(total, expected)


def test_mean_loss_compares_mean_activations(network, pictures):
    styles, photos, paintings = pictures
    rows = RowsObjective(network, (BOLD,), styles, mean_weight=2.0)
    losses = rows(paintings, rows.content_targets(photos), torch.tensor([0, 0]), torch.ones(2, 1))
    expected = torch.zeros(())
    for layer, weight in BOLD.weights_by_layer.items():
        own, target = (mean_activation(network(one, [layer])[layer]) for one in (paintings, styles[0]))
        expected += 2.0 * weight * relative_square_error(own, target)
    torch.testing.assert_close(losses["mean"], expected)
    torch.testing.assert_close(losses["total"], sum(losses[name] for name in ("content", "style", "tv", "mean")))


def test_gradient_reaches_the_picture(network, pictures):
    styles, photos, paintings = pictures
    rows = RowsObjective(network, (FAITHFUL, BOLD), styles, mean_weight=2.0)
    paintings.requires_grad_()
    targets, chosen = rows.content_targets(photos), torch.tensor([0, 1])
    mixtures = torch.tensor([[0.3, 0.7], [0.6, 0.4]])
    (gradient,) = torch.autograd.grad(rows(paintings, targets, chosen, mixtures)["total"], paintings)
    step = 1e-3 * gradient / gradient.norm()
    with torch.no_grad():
        ahead, behind = (rows(paintings + way, targets, chosen, mixtures)["total"] for way in (step, -step))
    assert ((ahead - behind) / 2e-3).item() == pytest.approx(gradient.norm().item(), rel=0.05)


def test_rows_that_differ_in_more_than_weights_are_refused(network, pictures):
    with pytest.raises(StyleError, match="weights and content layers only"):
        RowsObjective(network, (replace(BOLD, centred=False), BOLD), pictures[0])
    with pytest.raises(StyleError, match="choose the style loss gram"):
        RowsObjective(network, (replace(BOLD, style_loss="w2"),), pictures[0])
