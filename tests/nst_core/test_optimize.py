import pytest

torch = pytest.importorskip("torch")

from nst_core.errors import StyleError  # noqa: E402
from nst_core.optimize import render  # noqa: E402
from nst_core.settings import ObjectiveSettings, RenderSettings  # noqa: E402
from nst_core.weights import load_features  # noqa: E402


@pytest.fixture
def network(slim_weights):
    return load_features(str(slim_weights))


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(0)
    photo = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 8, generator=generator), (48, 64), mode="bilinear")
    return photo, torch.nn.functional.interpolate(torch.rand(1, 3, 12, 12, generator=generator), (40, 40))


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_the_loss_falls_and_every_iteration_is_reported(network, pictures, optimizer):
    seen = []
    settings = RenderSettings(size=64, optimizer=optimizer, iterations=25, learning_rate=0.01)
    done = render(*pictures, network, settings, lambda p: seen.append(p) or True)
    assert [p.iteration for p in seen] == list(range(1, 26)) and done is seen[-1]
    assert done.losses["total"] < 0.7 * seen[0].losses["total"]
    assert seen[0].losses["content"] == pytest.approx(0, abs=1e-6)  # it starts from the photo
    assert done.image.shape == (1, 3, 48, 64) and done.image.min() >= 0 and done.image.max() <= 1


def test_stop_keeps_what_there_is_and_the_inputs_stay(network, pictures):
    before = [p.clone() for p in pictures]
    done = render(*pictures, network, RenderSettings(size=64, iterations=50), lambda p: p.iteration < 3)
    assert done.iteration == 3
    assert not torch.equal(done.image, pictures[0])
    assert all(torch.equal(a, b) for a, b in zip(before, pictures, strict=True))


def test_size_is_the_longer_side(network, pictures):
    done = render(*pictures, network, RenderSettings(size=80, iterations=1), lambda p: True)
    assert done.image.shape[-2:] == (60, 80)


def test_bad_settings_are_refused(network, pictures):
    with pytest.raises(StyleError, match="lbfgs, adam"):
        render(*pictures, network, RenderSettings(size=64, optimizer="sgd"), lambda p: True)
    with pytest.raises(StyleError, match="64x2 pixels"):
        render(torch.rand(1, 3, 10, 300), pictures[1], network, RenderSettings(size=64), lambda p: True)


def test_style_pictures_without_style_are_refused(network, pictures):
    settings = RenderSettings(size=64, iterations=1)
    with pytest.raises(StyleError, match="style picture is 554x6 pixels"):
        render(pictures[0], torch.rand(1, 3, 8, 800), network, settings, lambda p: True)
    with pytest.raises(StyleError, match="all of one colour"):
        render(pictures[0], torch.full((1, 3, 50, 50), 0.3), network, settings, lambda p: True)


def test_it_looks_like_both(assets, read_photo):
    """On real features: most of the style's distance goes while the photo stays recognisable."""
    network = load_features(str(assets / "weights/vgg19_distilled16x_conv5_1.safetensors"))
    photo, style = (read_photo(assets / name, 256) for name in ("photos/eval/tubingen.jpg", "styles/starry_night.jpg"))
    seen = []
    render(
        photo,
        style,
        network,
        RenderSettings(ObjectiveSettings(), size=160, iterations=40),
        lambda p: seen.append(p) or True,
    )
    assert seen[-1].losses["style"] < 0.25 * seen[0].losses["style"]
    assert seen[-1].losses["content"] < 0.3  # 0.3 would be no content at all
