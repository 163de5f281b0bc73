import subprocess
import sys

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
    return photo, torch.rand(1, 3, 40, 40, generator=generator)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_the_loss_falls_and_every_iteration_is_reported(network, pictures, optimizer):
    seen = []
    settings = RenderSettings(size=64, optimizer=optimizer, iterations=25)
    done = render(*pictures, network, settings, lambda p: seen.append(p) or True)
    assert [p.iteration for p in seen] == list(range(1, 26)) and done is seen[-1]
    assert done.losses["total"] < 0.95 * seen[0].losses["total"]
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


def test_the_memory_estimate_holds(slim_weights):
    """The peak of a real render stays below the estimate, and the estimate is not idle either."""
    script = """
import sys, torch
from nst_core import optimize, settings, weights
from plugin.doctor import peak_rss_mib
network = weights.load_features(sys.argv[1])
def render(size):
    chosen = settings.RenderSettings(size=size, iterations=4)
    picture = torch.rand(1, 3, size, size)
    optimize.render(picture, picture, network, chosen, lambda p: True)
    return size**2 * optimize.bytes_per_pixel(network, chosen)
render(64)
before = peak_rss_mib()
print(render(1024), (peak_rss_mib() - before) * 2**20)
"""
    done = subprocess.run([sys.executable, "-c", script, slim_weights], check=True, capture_output=True, text=True)
    estimate, peak = map(float, done.stdout.split())
    assert 0.4 * estimate < peak <= estimate


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
