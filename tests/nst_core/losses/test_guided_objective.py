from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.features.catalogue import load_features
from nst_core.losses.guided_objective import GuidedObjective, StyleGuide, resized_by_area
from nst_core.losses.objective import Objective


@pytest.fixture(params=["slim", "compact"])
def network(request, slim_weights):
    return load_features(str(slim_weights) if request.param == "slim" else "compact")


def noise(seed, size=64):
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(seed))


ONES = torch.ones(1, 1, 64, 64)


@pytest.mark.parametrize("centred", [True, False])
def test_one_guide_for_everything_has_the_losses_of_the_plain_objective(network, centred):
    settings = ObjectiveSettings(centred=centred)
    plain, guided = (
        Objective(network, settings, [noise(0)]),
        GuidedObjective(network, settings, [StyleGuide(noise(0), ONES)]),
    )
    image, photo = noise(1).requires_grad_(), noise(2)
    losses = plain(image, plain.content_targets(photo)), guided(image, guided.content_targets(photo), ONES)
    for name, value in losses[0].items():
        torch.testing.assert_close(losses[1][name], value, rtol=1e-4, atol=1e-6)
    gradients = [torch.autograd.grad(each["total"], image)[0] for each in losses]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3 * gradients[0].abs().max().item())


def test_whole_style_mask_changes_nothing_and_a_part_counts_alone(network):
    settings = ObjectiveSettings(content_weight=0, style_layers=("relu1_1",))
    style = noise(0)
    style[..., 32:] = 0.2 * style[..., 32:]
    left = ONES.clone()
    left[..., 32:] = 0

    def loss(**changes):
        guided = GuidedObjective(network, settings, [StyleGuide(style, ONES, **changes)])
        return guided(noise(3), guided.content_targets(noise(3)), ONES)["style"].item()

    assert loss(style_mask=ONES) == pytest.approx(loss(), rel=1e-4)
    assert loss(style_mask=left) < 0.5 * loss()  # the noise is like the left half


def test_weights_choose_the_layers_of_each_style(network):
    settings = ObjectiveSettings()
    first, second = noise(0), 0.5 * noise(1)

    def style_loss(*guides):
        guided = GuidedObjective(network, settings, guides)
        masks = torch.cat([guide.mask for guide in guides], 1)
        return guided(noise(2), guided.content_targets(noise(2)), masks)["style"].item()

    fine, coarse = {"relu1_1": 1.0, "relu2_1": 1.0}, {"relu3_1": 1.0, "relu4_1": 1.0, "relu5_1": 1.0}
    parts = [
        style_loss(StyleGuide(first, ONES, layer_weights=fine)),
        style_loss(StyleGuide(second, ONES, layer_weights=coarse)),
    ]
    both = style_loss(StyleGuide(first, ONES, layer_weights=fine), StyleGuide(second, ONES, layer_weights=coarse))
    assert both == pytest.approx(sum(parts), rel=1e-5)


def test_masks_that_sum_to_one_do_so_at_every_layer():
    masks = torch.rand(1, 1, 37, 53)
    both = torch.cat([masks, 1 - masks], 1)
    for size in ((37, 53), (18, 26), (9, 13), (4, 6), (2, 3)):
        torch.testing.assert_close(resized_by_area(both, *size).sum(1), torch.ones(1, *size))


def test_empty_style_mask_and_other_losses_are_refused(network):
    guide = StyleGuide(noise(0), ONES, 0 * ONES)
    with pytest.raises(StyleError, match="mask of a style picture is empty"):
        GuidedObjective(network, ObjectiveSettings(), [guide])
    with pytest.raises(StyleError, match="choose the style loss gram"):
        GuidedObjective(network, ObjectiveSettings(style_loss="w2"), [replace(guide, style_mask=None)])
