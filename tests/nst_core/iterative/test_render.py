from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import PLAIN_SETTINGS
from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.features.catalogue import load_features
from nst_core.iterative.render import RenderOptions, first_picture, render
from nst_core.losses.guided_objective import GuidedObjective, StyleGuide
from nst_core.pictures.resize import resized


@pytest.mark.parametrize("style_loss", ["gram", "w2"])
@pytest.mark.parametrize(("optimizer", "learning_rate"), [("lbfgs", 1.0), ("adam", 0.01), ("sgd", 0.02)])
def test_loss_falls_and_every_iteration_is_reported(network, pictures, optimizer, learning_rate, style_loss):
    seen = []
    objective = ObjectiveSettings(style_loss=style_loss)
    settings = replace(
        PLAIN_SETTINGS,
        objective=objective,
        size=64,
        optimizer=optimizer,
        iterations=25,
        learning_rate=learning_rate,
        shift=0,
    )
    done = render(*pictures, network, settings, lambda p: seen.append(p) or True)
    assert [p.iteration for p in seen] == list(range(1, 26)) and done is seen[-1]
    assert done.losses["total"] < 0.7 * seen[0].losses["total"]
    assert seen[0].losses["content"] == pytest.approx(0, abs=1e-6)  # it starts from the photo
    assert done.image.shape == (1, 3, 48, 64) and done.image.min() >= 0 and done.image.max() <= 1


def test_stopping_keeps_the_picture_and_leaves_the_inputs_alone(network, pictures):
    before = [p.clone() for p in pictures]
    done = render(*pictures, network, replace(PLAIN_SETTINGS, size=64, iterations=50), lambda p: p.iteration < 3)
    assert done.iteration == 3
    assert not torch.equal(done.image, pictures[0])
    assert all(torch.equal(a, b) for a, b in zip(before, pictures, strict=True))


def test_initial_picture_is_the_start(network, pictures):
    earlier = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(1))
    before = earlier.clone()
    settings = replace(PLAIN_SETTINGS, size=64, optimizer="lbfgs", iterations=1)
    first = render(*pictures, network, settings, lambda p: True, options=RenderOptions(earlier))
    # One cautious step of L-BFGS leads nowhere near the photo.
    scaled = torch.nn.functional.interpolate(earlier, (48, 64), mode="bicubic", antialias=True).clamp(0, 1)
    assert first.image.shape == scaled.shape
    assert (first.image - scaled).square().mean() < 0.2 * (first.image - pictures[0]).square().mean()
    assert first.losses["content"] > 0.01  # the content is still the photo's
    assert torch.equal(earlier, before)


def test_each_start_gives_its_first_picture(network, pictures):
    """A step of hardly any length leaves the first picture as it is."""
    made = {}
    for start in ("content", "noise", "style"):
        settings = replace(
            PLAIN_SETTINGS, size=64, optimizer="adam", iterations=1, learning_rate=1e-9, shift=0, start=start
        )
        made[start] = render(*pictures, network, settings, lambda p: True).image
    assert torch.allclose(made["content"], pictures[0], atol=1e-6)
    assert torch.allclose(made["style"], resized(pictures[1], 48, 64), atol=1e-6)
    assert made["noise"].std() == pytest.approx(12**-0.5, rel=0.05)  # uniform in 0..1
    assert made["noise"].mean() == pytest.approx(0.5, abs=0.02)
    faint = first_picture(*pictures, replace(PLAIN_SETTINGS, start="noise", noise=0.1))
    assert faint.std() == pytest.approx(0.1 * 12**-0.5, rel=0.05) and faint.mean() == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", "sgd"])
def test_each_size_continues_from_the_one_before(network, pictures, optimizer):
    seen = []
    settings = replace(
        PLAIN_SETTINGS, size=64, coarsest=45, optimizer=optimizer, iterations=6, first_iterations=8, shift=2
    )
    done = render(*pictures, network, settings, lambda p: seen.append(p) or True)
    assert [p.iteration for p in seen] == list(range(1, 15)) and {p.iterations for p in seen} == {14}
    assert [tuple(p.image.shape[-2:]) for p in seen] == 8 * [(34, 45)] + 6 * [(48, 64)]
    # The second size begins with what the first one made, not with the photo.
    carried = resized(seen[7].image, 48, 64)
    assert (seen[8].image - carried).abs().mean() < 0.7 * (seen[8].image - pictures[0]).abs().mean()
    assert done.image.shape == pictures[0].shape


def test_auto_switches_to_adam_at_its_full_learning_rate(network, pictures):
    """With distilled features."""
    settings = replace(
        PLAIN_SETTINGS, size=64, coarsest=45, iterations=3, first_iterations=2, learning_rate=1e-3, shift=0
    )
    seen = {}
    for optimizer in ("auto", "lbfgs"):
        steps = seen[optimizer] = []
        render(
            *pictures, network, replace(settings, optimizer=optimizer), lambda p, steps=steps: steps.append(p) or True
        )
    for auto, lbfgs in zip(seen["auto"][:3], seen["lbfgs"][:3], strict=True):
        assert torch.equal(auto.image, lbfgs.image)
    moved = (seen["auto"][3].image - seen["auto"][2].image).abs()
    # Adam's first step is as long for every pixel.
    assert moved.median().item() == pytest.approx(1e-3, rel=1e-3) and moved.max() < 1.01e-3


def test_result_is_the_moving_average_of_the_pictures(network, pictures):
    runs = {}
    for decay in (0.0, 0.6):
        seen = []
        settings = replace(PLAIN_SETTINGS, size=64, optimizer="adam", iterations=4, average=decay, shift=0)
        render(*pictures, network, settings, lambda p, seen=seen: seen.append(p.image) or True)
        runs[decay] = torch.stack(seen)
    weights = torch.tensor([0.6**3, 0.6**2, 0.6, 1.0])
    expected = (runs[0.0] * (weights / weights.sum()).view(4, 1, 1, 1, 1)).sum(0)
    torch.testing.assert_close(runs[0.6][-1], expected)
    torch.testing.assert_close(runs[0.6][0], runs[0.0][0])  # the first is no darker


def test_nan_loss_ends_the_render_with_the_last_sound_picture(network, pictures, monkeypatch):
    forward, calls = type(network).forward, 0
    seen, settings = [], replace(PLAIN_SETTINGS, size=64, optimizer="adam", iterations=9, shift=0)

    def spoiled(self, image, *others):
        nonlocal calls
        calls += image.requires_grad
        features = forward(self, image, *others)
        return {name: value * float("nan") for name, value in features.items()} if calls >= first_bad else features

    monkeypatch.setattr(type(network), "forward", spoiled)
    first_bad = 6
    done = render(*pictures, network, settings, lambda p: seen.append(p) or True)
    # The loss of the sixth step is that of the fifth's picture, so the fourth's is the last one known to be good.
    assert len(seen) == 5 and done.iteration == 4 and torch.equal(done.image, seen[3].image)
    assert "the loss of iteration 6 is not a number" in done.note and "picture of iteration 4" in done.note
    calls, first_bad = 0, 1
    with pytest.raises(StyleError, match="Nothing can be painted"):
        render(*pictures, network, settings, lambda p: True)


@pytest.mark.parametrize("shape", [(1, 1), (3000, 1), (1, 2)])
def test_tiny_photos_are_painted_and_narrow_ones_refused(network, pictures, shape):
    photo = torch.rand(1, 3, *shape)
    if max(shape) > 2:
        with pytest.raises(StyleError, match="less narrow photo"):
            render(photo, pictures[1], network, replace(PLAIN_SETTINGS, size=64), lambda p: True)
    else:
        done = render(photo, pictures[1], network, replace(PLAIN_SETTINGS, size=64, iterations=2), lambda p: True)
        assert done.image.isfinite().all() and max(done.image.shape) == 64


def test_strip_is_painted_at_the_only_size_that_is_high_enough(network, pictures):
    photo = torch.rand(1, 3, 20, 3000, generator=torch.Generator().manual_seed(3))
    done = render(
        photo, pictures[1], network, replace(PLAIN_SETTINGS, size=4800, coarsest=128, iterations=1), lambda p: True
    )
    assert done.image.shape == (1, 3, 32, 4800) and done.iterations == 1  # no smaller size would do


def test_size_is_the_longer_side(network, pictures):
    done = render(*pictures, network, replace(PLAIN_SETTINGS, size=80, iterations=1), lambda p: True)
    assert done.image.shape[-2:] == (60, 80)


def test_unknown_optimizer_and_narrow_photo_are_refused(network, pictures):
    with pytest.raises(StyleError, match="auto, lbfgs, adam, sgd"):
        render(*pictures, network, replace(PLAIN_SETTINGS, size=64, optimizer="newton"), lambda p: True)
    with pytest.raises(StyleError, match="64x2 pixels"):
        render(torch.rand(1, 3, 10, 300), pictures[1], network, replace(PLAIN_SETTINGS, size=64), lambda p: True)


def test_narrow_and_plain_style_pictures_are_refused(network, pictures):
    settings = replace(PLAIN_SETTINGS, size=64, iterations=1)
    with pytest.raises(StyleError, match="style picture is 554x6 pixels"):
        render(pictures[0], torch.rand(1, 3, 8, 800), network, settings, lambda p: True)
    with pytest.raises(StyleError, match="all of one colour"):
        render(pictures[0], torch.full((1, 3, 50, 50), 0.3), network, settings, lambda p: True)


def test_result_is_close_to_photo_and_style_with_real_features(assets, read_photo):
    """Most of the distance to the style goes while the photo stays recognisable."""
    network = load_features(str(assets / "weights/vgg19_distilled16x_conv5_1.safetensors"))
    photo, style = (read_photo(assets / name, 256) for name in ("photos/eval/tubingen.jpg", "styles/starry_night.jpg"))
    seen = []
    render(
        photo,
        style,
        network,
        replace(PLAIN_SETTINGS, objective=ObjectiveSettings(), size=160, optimizer="lbfgs", iterations=40),
        lambda p: seen.append(p) or True,
    )
    assert seen[-1].losses["style"] < 0.25 * seen[0].losses["style"]
    assert seen[-1].losses["content"] < 0.3  # 0.3 would be no content at all


def left_half(height=48, width=64):
    mask = torch.zeros(1, 1, height, width)
    mask[..., : width // 2] = 1
    return mask


@pytest.fixture
def guides(pictures):
    """Two styles, one for each half of the photo; of the second only a part counts."""
    generator = torch.Generator().manual_seed(5)
    other = torch.nn.functional.interpolate(torch.rand(1, 3, 10, 10, generator=generator), (40, 40))
    return StyleGuide(pictures[1], left_half()), StyleGuide(other, 1 - left_half(), left_half(40, 40))


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_each_region_nears_its_own_style(network, pictures, guides, optimizer):
    settings = replace(PLAIN_SETTINGS, size=64, iterations=12, optimizer=optimizer, learning_rate=0.05, shift=4)
    swapped = tuple(replace(guide, mask=1 - guide.mask) for guide in guides)
    done = [
        render(*pictures, network, settings, lambda p: True, RenderOptions(guides=each)) for each in (guides, swapped)
    ]
    objective = GuidedObjective(network, settings.objective, guides)
    targets = objective.content_targets(pictures[0])
    masks = torch.cat([guide.mask for guide in guides], 1)
    own, others = (objective(each.image, targets, masks)["style"] for each in done)
    assert own < 0.7 * others


def test_render_with_regions_resumes_without_changing_a_bit(network, pictures, guides, tmp_path):
    settings = replace(PLAIN_SETTINGS, size=64, coarsest=45, smaller_iterations=4, iterations=8)
    whole = render(*pictures, network, settings, lambda p: True, RenderOptions(guides=guides)).image
    options = RenderOptions(checkpoint=tmp_path / "c", checkpoint_every=3, guides=guides)
    render(*pictures, network, settings, lambda p: p.iteration < 7, options)
    assert torch.equal(render(*pictures, network, settings, lambda p: True, options).image, whole)
    for other in (guides[:1], guides[::-1], ()):
        with pytest.raises(StyleError, match="whose regions differs"):
            render(*pictures, network, settings, lambda p: True, replace(options, guides=other))
