"""The engine for a host without arrays, in its own process and in another one."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from PIL import Image

from nst_core.base.errors import StyleError
from nst_core.base.presets import PRESETS
from nst_core.style_file import read_styles
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import WORKING_PIXELS, FastSettings
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.picture import Picture, composite
from plugin.engine.messages import FastRequest, IterativeRequest, PreviewRequest, RawPicture
from plugin.engine.preview.layer_copy import PROXY_PIXELS, greyed, opaque
from plugin.engine.progress import StoppedError, Stopper
from plugin.engine.service import LocalEngine
from tests.conftest import SAMPLES
from tests.style_files import negative_style


@pytest.fixture(scope="module")
def negative(tmp_path_factory):
    path = tmp_path_factory.mktemp("styles") / "negative.onnx"
    onnx.save(negative_style(), path)
    return {read_styles(path)[0]: 1.0}


@pytest.fixture(params=["here", "elsewhere"])
def service(request):
    """An engine, wherever it runs."""
    return LocalEngine() if request.param == "here" else request.getfixturevalue("remote")


def raw(pixels: np.ndarray, mask: np.ndarray | None = None) -> RawPicture:
    """As a host has it."""
    height, width, channels = pixels.shape
    data = None if mask is None else mask.tobytes()
    return RawPicture(width, height, channels, pixels.tobytes(), data, pixels.dtype == np.uint8)


def floats(picture: RawPicture, like: np.ndarray) -> np.ndarray:
    return np.frombuffer(picture.data, np.float32).reshape(*like.shape[:2], 4)


@pytest.fixture
def opened(service):
    """Opens layers, and closes them in the end."""
    numbers = []

    def open_layer(pixels: np.ndarray, mask: np.ndarray | None = None, grey: bool = False):
        numbers.append(service.open_layer(raw(pixels, mask), grey))
        return numbers[-1]

    yield open_layer
    for layer in numbers:
        service.close_layer(layer.number)


def test_it_paints_as_stylize_does(service, negative, noise):
    mask = np.linspace(0, 1, noise.shape[0] * noise.shape[1], dtype=np.float32).reshape(noise.shape[:2])
    settings = FastSettings(stroke_size=150, blend=BlendSettings(70))
    (painted,) = service.paint([raw(noise, mask)], FastRequest(negative, settings))
    assert (floats(painted.picture, noise) == paint_fast(Picture(noise, mask), negative, settings).pixels).all()
    assert "inference" in painted.seconds and painted.notes == []
    # Without alpha, as a host reads a layer that has none, it is as with an alpha of 1.
    noise[..., 3] = 1
    with_alpha, without = service.paint([raw(noise), raw(noise[..., :3])], FastRequest(negative, settings))
    assert bytes(with_alpha.picture.data) == bytes(without.picture.data)


def test_a_picture_of_eight_bits_comes_back_in_eight_bits(service, negative, noise):
    pixels, mask = (
        (noise * 255).astype(np.uint8),
        np.arange(noise[..., 0].size).reshape(noise.shape[:2]).astype(np.uint8),
    )
    (painted,) = service.paint([raw(pixels, mask)], FastRequest(negative, FastSettings(blend=BlendSettings(70))))
    picture = Picture(pixels / np.float32(255), mask / np.float32(255))
    expected = paint_fast(picture, negative, FastSettings(blend=BlendSettings(70))).pixels
    assert painted.picture.eight_bits and (painted.picture.width, painted.picture.height) == (51, 37)
    got = np.frombuffer(painted.picture.data, np.uint8).reshape(pixels.shape)
    assert np.abs(got - expected * 255).max() <= 0.501
    unselected = (mask == 0) | (pixels[..., 3] == 0)
    assert (got[unselected] == pixels[unselected]).all() and (got[..., 3] == pixels[..., 3]).all()


def test_pictures_that_are_not_begun_are_left_out(service, negative, noise):
    told = []

    def tell(progress) -> bool:
        told.append(progress)
        return progress.part < 1

    done = service.paint([raw(noise)] * 3, FastRequest(negative, FastSettings()), tell)
    assert len(done) == 1
    assert [progress.part for progress in told][-2:] == [0, 1]
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1 / 3)


def test_a_render_is_shown_as_it_develops(service, noise, slim_weights, opened):
    pytest.importorskip("torch")
    # As the eight-bit copy of it: what is shown is of the copy's size, and mixed as the painting will be.
    layer = opened((noise * 255).round().astype(np.uint8))
    recipe = replace(PRESETS["default"], features=str(slim_weights))
    how = IterativeRequest(raw(noise), recipe, BlendSettings(0.0))
    told = []

    def tell(progress) -> bool:
        told.append(progress)
        return progress.iteration < 1

    (painted,) = service.paint([raw(noise)], how, tell, layers=[layer.number])
    assert floats(painted.picture, noise) == pytest.approx(noise)  # at a strength of 0
    (shown,) = (progress for progress in told if progress.iteration)
    assert shown.preview is None and shown.shown == service.layer_photo(layer.number)
    assert not any(progress.shown for progress in told if not progress.iteration)


def test_what_is_tried_is_mixed(service, negative, opened):
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        small = np.array(photo.convert("RGB").resize((120, 80)))
    layer = opened(small)
    assert (layer.width, layer.height) == (120, 80)
    assert service.layer_photo(layer.number) == small.tobytes()
    trial = service.preview(layer.number, PreviewRequest(tuple(negative.items()), 100.0), False, Stopper())
    assert not trial.on_gpu and trial.reason
    assert service.mix_preview(layer.number, trial.number, BlendSettings(100.0)) == (255 - small).tobytes()
    assert service.mix_preview(layer.number, trial.number, BlendSettings(0.0)) == small.tobytes()
    service.forget_preview(layer.number, trial.number)
    with pytest.raises(Exception, match=str(trial.number)) as told:
        service.mix_preview(layer.number, trial.number, BlendSettings(100.0))
    assert told.typename == "KeyError"


def test_selection_transparency_and_grey_are_shown(service, negative, opened, noise):
    pixels, mask = (noise * 255).astype(np.uint8), np.zeros(noise.shape[:2], np.uint8)
    mask[:, 20:] = 255
    layer = opened(pixels, mask, grey=True)
    trial = service.preview(layer.number, PreviewRequest(tuple(negative.items()), 100.0), False, Stopper())
    photo = pixels.astype(np.float32) / 255
    painted = paint_fast(Picture(photo), negative).pixels[..., :3]
    mixed = composite(Picture(photo, mask / np.float32(255)), painted, BlendSettings(60, keep_colors=True))
    assert (
        service.mix_preview(layer.number, trial.number, BlendSettings(60, keep_colors=True))
        == opaque(greyed(mixed)).tobytes()
    )


def test_a_large_layer_is_shown_small_or_in_part(service, negative, opened):
    with Image.open(SAMPLES / "coffee.jpg") as photo:
        large = np.array(photo.convert("RGB").resize((1500, 1000)))
    assert large.shape[0] * large.shape[1] > 2 * WORKING_PIXELS
    layer = opened(large)
    assert layer.width * layer.height == pytest.approx(PROXY_PIXELS, rel=0.01)
    shown = np.frombuffer(service.layer_photo(layer.number, (300, 200)), np.uint8).reshape(layer.height, layer.width, 3)
    part = large[200:, 300:][: layer.height, : layer.width]
    assert (shown == part).all()
    trial = service.preview(layer.number, PreviewRequest(tuple(negative.items()), 100.0, (300, 200)), False, Stopper())
    assert service.mix_preview(layer.number, trial.number, BlendSettings(100.0)) == (255 - part).tobytes()
    whole, sketch = (
        service.preview(layer.number, PreviewRequest(tuple(negative.items()), 100.0), sketch, Stopper())
        for sketch in (False, True)
    )
    small = np.frombuffer(service.layer_photo(layer.number), np.uint8).astype(int)
    for trial in (whole, sketch):
        mixed = np.frombuffer(service.mix_preview(layer.number, trial.number, BlendSettings(100.0)), np.uint8)
        assert np.abs(mixed - (255 - small)).mean() < 1


def test_what_nobody_waits_for_is_stopped(service, negative, opened, noise):
    stopped = Stopper()
    stopped.stop()
    layer = opened((noise * 255).astype(np.uint8))
    with pytest.raises(StoppedError):
        service.preview(layer.number, PreviewRequest(tuple(negative.items()), 100.0), False, stopped)


def test_too_large_a_picture_is_refused(service):
    with pytest.raises(StyleError, match="make it smaller"):
        service.check_pictures(10**12)
    service.check_pictures(1)
