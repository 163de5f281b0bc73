import pytest

torch = pytest.importorskip("torch")

from nst_core.errors import StyleError  # noqa: E402
from nst_core.features import CombinedNetwork, vgg  # noqa: E402
from nst_core.optimize import optimizer_for, render  # noqa: E402
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


@pytest.mark.parametrize(("optimizer", "rate"), [("lbfgs", 0.01), ("adam", 0.01), ("sgd", 0.01)])
def test_the_loss_falls_and_every_iteration_is_reported(network, pictures, optimizer, rate):
    seen = []
    settings = RenderSettings(size=64, optimizer=optimizer, iterations=25, learning_rate=rate, shift=0)
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


def test_it_starts_from_another_picture_if_one_is_given(network, pictures):
    earlier = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(1))
    before = earlier.clone()
    settings = RenderSettings(size=64, optimizer="lbfgs", iterations=1)
    first = render(*pictures, network, settings, lambda p: True, initial=earlier)
    # One cautious step of L-BFGS leads nowhere near the photo.
    scaled = torch.nn.functional.interpolate(earlier, (48, 64), mode="bicubic", antialias=True).clamp(0, 1)
    assert first.image.shape == scaled.shape
    assert (first.image - scaled).square().mean() < 0.2 * (first.image - pictures[0]).square().mean()
    assert first.losses["content"] > 0.01  # the content is still the photo's
    assert torch.equal(earlier, before)


def test_adam_never_sees_the_picture_in_the_same_place_twice(network, pictures, monkeypatch):
    """The photo moves along with it, so that a picture that still is the photo has no content loss in any view."""
    seen, forward = [], type(network).forward

    def spy(self, image, layers):
        seen.append(tuple(image.shape[-2:]))
        return forward(self, image, layers)

    monkeypatch.setattr(type(network), "forward", spy)
    losses = []
    settings = RenderSettings(size=64, optimizer="adam", iterations=12, learning_rate=1e-9, shift=7)
    again = [render(*pictures, network, settings, lambda p: losses.append(p.losses) or True).image for _ in range(2)]
    assert torch.equal(*again)
    assert len({shape for shape in seen if 48 <= shape[0] <= 55 and 64 <= shape[1] <= 71}) > 6
    assert all(found["content"] < 1e-6 for found in losses) and len({found["style"] for found in losses[:12]}) > 6


def test_the_optimiser_fits_the_features(slim_weights):
    """Those of heads are predictions; a network's own are not, and a mixture is no better than its worst part."""
    slim, plain = load_features(str(slim_weights)), vgg("plain", vgg_state(), "vgg19")
    chosen = [optimizer_for(n, RenderSettings()) for n in (slim, plain, CombinedNetwork([plain, slim]))]
    assert chosen == ["adam", "lbfgs", "adam"]
    assert optimizer_for(slim, RenderSettings(optimizer="lbfgs")) == "lbfgs"


def vgg_state():
    return {"features.0.weight": torch.rand(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}


def test_size_is_the_longer_side(network, pictures):
    done = render(*pictures, network, RenderSettings(size=80, iterations=1), lambda p: True)
    assert done.image.shape[-2:] == (60, 80)


def test_bad_settings_are_refused(network, pictures):
    with pytest.raises(StyleError, match="auto, lbfgs, adam, sgd"):
        render(*pictures, network, RenderSettings(size=64, optimizer="newton"), lambda p: True)
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
        RenderSettings(ObjectiveSettings(), size=160, optimizer="lbfgs", iterations=40),
        lambda p: seen.append(p) or True,
    )
    assert seen[-1].losses["style"] < 0.25 * seen[0].losses["style"]
    assert seen[-1].losses["content"] < 0.3  # 0.3 would be no content at all
