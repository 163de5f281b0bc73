import dataclasses

import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.base.presets import PRESETS
from nst_core.features.catalogue import load_features
from nst_core.losses.functional import wasserstein_2
from nst_core.losses.objective import Objective, fitted
from nst_core.pictures.resize import resized


@pytest.fixture
def network(slim_weights):
    return load_features(str(slim_weights))


@pytest.mark.parametrize("settings", [{}, {"centred": False}, {"style_loss": "w2"}])
def test_style_picture_has_no_style_loss_and_photo_no_content_loss(network, settings):
    picture, other = torch.rand(1, 3, 48, 64), torch.rand(1, 3, 48, 64) ** 3
    objective = Objective(network, ObjectiveSettings(**settings), [picture])
    own = objective(picture, objective.content_targets(picture))
    assert abs(own["style"]) < 1e-6 and own["content"] < 1e-8
    far = objective(other, objective.content_targets(picture))
    assert far["style"] > 1e-2 and far["content"] > 1e-3
    torch.testing.assert_close(far["total"], far["content"] + far["style"] + far["tv"])


def exact_loss(picture, photo, style, settings):
    """Compute the total loss of pictures in float64, with the formulas written out, by the network ``compact``."""
    network = load_features("compact").double()
    current, wanted, painted = (network(one, settings.layers) for one in (picture, photo, style))
    (content,) = settings.content_layers
    total = settings.content_weight * (current[content] - wanted[content]).pow(2).sum() / wanted[content].pow(2).sum()
    for layer, weight in settings.weights_by_layer.items():
        flat, target = (one[layer][0].flatten(1) for one in (current, painted))
        if settings.style_loss == "w2":
            means = [one.mean(1)[None] for one in (flat, target)]
            covariances = [one.cov(correction=0)[None] for one in (flat, target)]
            total += weight * wasserstein_2(means[0], covariances[0], means[1], covariances[1])
            continue
        centre = target.mean(1, keepdim=True) * settings.centred
        gram, goal = ((one - centre) @ (one - centre).T / one.shape[1] for one in (flat, target))
        total += weight * (gram - goal).pow(2).sum() / goal.pow(2).sum()
    across, down = picture.diff(dim=3), picture.diff(dim=2)
    return total + settings.tv_weight * (across.pow(2).mean() + down.pow(2).mean())


@pytest.mark.parametrize("kind", [{}, {"centred": False}, {"style_loss": "w2"}])
def test_total_loss_and_gradient_against_float64_and_finite_differences(kind):
    settings = ObjectiveSettings(
        style_layers=("relu1_1", "relu2_1"), style_layer_weights=(0.5, 2.0), tv_weight=3.0, tv_exponent=2.0, **kind
    )
    generator = torch.Generator().manual_seed(0)
    photo, style, picture = (torch.rand(1, 3, 40, 48, generator=generator) ** power for power in (1, 3, 0.5))
    objective = Objective(load_features("compact"), settings, [style])
    picture.requires_grad_()
    total = objective(picture, objective.content_targets(photo))["total"]
    (gradient,) = torch.autograd.grad(total, picture)
    photo, style, picture = (one.detach().double() for one in (photo, style, picture))
    assert total.item() == pytest.approx(exact_loss(picture, photo, style, settings).item(), rel=1e-4)
    # Along the gradient the loss changes by the gradient's length, and by less if that points elsewhere.
    length = gradient.double().norm()
    step = 1e-4 * gradient.double() / length
    ahead, behind = (exact_loss(picture + way, photo, style, settings) for way in (step, -step))
    assert ((ahead - behind) / 2e-4).item() == pytest.approx(length.item(), rel=1e-3)


def test_wasserstein_allows_several_styles_in_a_batch(network):
    styles = [torch.rand(1, 3, 48, 64) ** power for power in (1, 3)]
    settings = ObjectiveSettings(style_loss="w2", tv_weight=0.0)
    batch, which = torch.rand(2, 3, 48, 64), torch.tensor([1, 0])
    both = Objective(network, settings, styles)
    together = both(batch, both.content_targets(batch), which)["style"]
    apart = [Objective(network, settings, [styles[i]]) for i in which]
    each = [
        one(picture, one.content_targets(picture))["style"] for one, picture in zip(apart, batch.split(1), strict=True)
    ]
    torch.testing.assert_close(together, torch.stack(each).mean())


@pytest.mark.parametrize("style_loss", ["gram", "w2"])
def test_weights_keep_their_meaning_across_sizes(network, style_loss):
    generator = torch.Generator().manual_seed(0)
    small_style, small = (torch.rand(1, 3, 128, 128, generator=generator) ** power for power in (1, 2))
    totals = []
    for scale in (1, 3):
        # The same texture over more pixels.
        style, photo = (v.repeat(1, 1, scale, scale) for v in (small_style, small))
        objective = Objective(network, ObjectiveSettings(style_loss=style_loss), [style])
        totals.append(objective(photo, objective.content_targets(style))["total"].item())
    assert totals[1] == pytest.approx(totals[0], rel=0.1)


def test_missing_layer_is_refused_at_once(network):
    settings = dataclasses.replace(ObjectiveSettings(), content_layers=("relu4_2",))
    with pytest.raises(StyleError, match="relu4_2"):
        Objective(network, settings, [torch.rand(1, 3, 32, 32)])


def test_resizing_keeps_the_range():
    image = torch.rand(1, 3, 20, 30).round()
    assert resized(image, 55, 13).min() >= 0 and resized(image, 55, 13).max() <= 1


def test_preset_uses_a_nearby_layer_and_says_so(network):
    settings = PRESETS["gatys-2017"].settings.objective
    fitting, notes = fitted(settings, network)
    assert fitting.content_layers == ("relu4_1",) and fitting.style_layers == settings.style_layers
    assert notes == ["slim has no relu4_2; relu4_1 is used instead."]


def test_explicitly_named_layer_is_not_replaced(network):
    settings = ObjectiveSettings(content_layers=("relu4_2",))
    assert fitted(settings, network) == (settings, [])
    with pytest.raises(StyleError, match="relu4_2"):
        Objective(network, settings, [torch.rand(1, 3, 64, 64)])
