"""The engine in its host's process and in another one."""

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
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.compositing import composite
from plugin.engine.imaging.kept_render import encode_render
from plugin.engine.imaging.picture import Picture
from plugin.engine.instant.instant_painting import paint_instantly
from plugin.engine.instant.instant_settings import InstantSettings
from plugin.engine.instant.style_reading import read_style_picture
from plugin.engine.machine import memory
from plugin.engine.messages import (
    Area,
    FastRequest,
    InstantRequest,
    IterativeRequest,
    LayerView,
    MixRequest,
    PicturePath,
    PreviewRequest,
    RawPicture,
)
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


@pytest.fixture(params=["local", "remote"])
def engine(request):
    """An engine of either kind."""
    return LocalEngine() if request.param == "local" else request.getfixturevalue("remote")


def raw(pixels: np.ndarray, mask: np.ndarray | None = None) -> RawPicture:
    """Return the pixels as a host sends them."""
    height, width, channels = pixels.shape
    data = None if mask is None else mask.tobytes()
    return RawPicture(width, height, channels, pixels.tobytes(), data, pixels.dtype == np.uint8)


def floats(picture: RawPicture, like: np.ndarray) -> np.ndarray:
    return np.frombuffer(picture.data, np.float32).reshape(*like.shape[:2], 4)


@pytest.fixture
def opened(engine):
    """A function that opens layers, which the test's end closes."""
    numbers = []

    def open_layer(pixels: np.ndarray, mask: np.ndarray | None = None, grey: bool = False):
        numbers.append(engine.open_layer(raw(pixels, mask), grey))
        return numbers[-1]

    yield open_layer
    for layer in numbers:
        engine.close_layer(layer.number)


def test_engine_paints_as_paint_fast_does(engine, negative, noise):
    mask = np.linspace(0, 1, noise.shape[0] * noise.shape[1], dtype=np.float32).reshape(noise.shape[:2])
    settings = FastSettings(stroke_size=150, blend=BlendSettings(70))
    (painted,) = engine.paint([raw(noise, mask)], FastRequest(negative, settings))
    assert (floats(painted.picture, noise) == paint_fast(Picture(noise, mask), negative, settings).pixels).all()
    assert "inference" in painted.seconds and painted.notes == []
    # A host reads a layer without alpha as three channels, which is the same as an alpha of 1.
    noise[..., 3] = 1
    with_alpha, without = engine.paint([raw(noise), raw(noise[..., :3])], FastRequest(negative, settings))
    assert bytes(with_alpha.picture.data) == bytes(without.picture.data)


def test_engine_paints_in_the_style_of_a_picture(engine, negative, noise, opened):
    path = SAMPLES / "rocket.jpg"
    assert engine.reads_picture(str(path)) and not engine.reads_picture(__file__)
    file = PicturePath(str(path), path.stat().st_mtime_ns)
    settings = InstantSettings(30, 80, FastSettings(stroke_size=150, device="cpu", blend=BlendSettings(70)))
    (painted,) = engine.paint([raw(noise)], InstantRequest(((file, 1.0),), settings))
    expected = paint_instantly(Picture(noise), {read_style_picture(path): 1.0}, settings).pixels
    assert np.abs(floats(painted.picture, noise) - expected).max() < 1 / 255
    # The same in the preview, where a trained style is mixed with it.
    layer = opened(np.full((80, 120, 3), 100, np.uint8))
    whole, shown = LayerView(Area(0, 0, 120, 80), 120, 80), []
    for styles, share in (((), 1.0), (((next(iter(negative)), 0.5),), 0.5)):
        request = PreviewRequest(styles, 100.0, pictures=((file, share),))
        preview = engine.preview(layer.number, request, False, Stopper())
        data = engine.mix_preview(layer.number, preview.number, whole, BlendSettings())
        shown.append(np.frombuffer(data, np.uint8).astype(float))
    assert np.abs(shown[1] - (shown[0] + 155) / 2).max() <= 1.5
    with pytest.raises(StyleError, match=r"picture\.jpg cannot be read"):
        engine.paint([raw(noise)], InstantRequest(((PicturePath("/no/picture.jpg", 0), 1.0),), settings))


def test_eight_bit_picture_stays_eight_bit(engine, negative, noise):
    pixels, mask = (
        (noise * 255).astype(np.uint8),
        np.arange(noise[..., 0].size).reshape(noise.shape[:2]).astype(np.uint8),
    )
    (painted,) = engine.paint([raw(pixels, mask)], FastRequest(negative, FastSettings(blend=BlendSettings(70))))
    picture = Picture(pixels / np.float32(255), mask / np.float32(255))
    expected = paint_fast(picture, negative, FastSettings(blend=BlendSettings(70))).pixels
    assert painted.picture.eight_bits and (painted.picture.width, painted.picture.height) == (51, 37)
    values = np.frombuffer(painted.picture.data, np.uint8).reshape(pixels.shape)
    assert np.abs(values - expected * 255).max() <= 0.501
    unselected = (mask == 0) | (pixels[..., 3] == 0)
    assert (values[unselected] == pixels[unselected]).all() and (values[..., 3] == pixels[..., 3]).all()


def test_stopping_leaves_out_pictures_not_yet_begun(engine, negative, noise):
    reports = []

    def report(progress) -> bool:
        reports.append(progress)
        return progress.part < 1

    done = engine.paint([raw(noise)] * 3, FastRequest(negative, FastSettings()), report)
    assert len(done) == 1
    assert [progress.part for progress in reports][-2:] == [0, 1]
    fractions = [progress.fraction for progress in reports]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1 / 3)


def test_render_progress_is_shown_on_the_layer(engine, noise, slim_weights, opened):
    pytest.importorskip("torch")
    # What is shown has the size of the opened layer, and is mixed as the painting will be.
    layer = opened((noise * 255).round().astype(np.uint8))
    recipe = replace(PRESETS["default"], features=str(slim_weights))
    request = IterativeRequest(raw(noise), recipe, BlendSettings(0.0))
    reports = []

    def report(progress) -> bool:
        reports.append(progress)
        return progress.iteration < 1

    (painted,) = engine.paint([raw(noise)], request, report, layers=[layer.number])
    assert floats(painted.picture, noise) == pytest.approx(noise)  # at a strength of 0
    (shown,) = (progress for progress in reports if progress.iteration)
    assert shown.preview is None and shown.shown == engine.layer_photo(layer.number)
    assert not any(progress.shown for progress in reports if not progress.iteration)


def test_preview_is_mixed_and_forgotten(engine, negative, opened):
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        small = np.array(photo.convert("RGB").resize((120, 80)))
    layer = opened(small)
    assert (layer.width, layer.height) == (120, 80)
    assert engine.layer_photo(layer.number) == small.tobytes()
    preview = engine.preview(layer.number, PreviewRequest(tuple(negative.items()), 100.0), False, Stopper())
    assert not preview.note
    whole = LayerView(Area(0, 0, 120, 80), 120, 80)
    assert engine.layer_photo(layer.number, whole) == small.tobytes()
    assert engine.mix_preview(layer.number, preview.number, whole, BlendSettings(100.0)) == (255 - small).tobytes()
    assert engine.mix_preview(layer.number, preview.number, whole, BlendSettings(0.0)) == small.tobytes()
    part = LayerView(Area(10, 20, 70, 50), 70, 50)
    mixed = engine.mix_preview(layer.number, preview.number, part, BlendSettings(100.0))
    assert mixed == (255 - small[20:70, 10:80]).tobytes()
    engine.forget_preview(layer.number, preview.number)
    with pytest.raises(Exception, match=str(preview.number)) as raised:
        engine.mix_preview(layer.number, preview.number, whole, BlendSettings(100.0))
    assert raised.typename == "KeyError"


def test_preview_shows_selection_transparency_and_grey(engine, negative, opened, noise):
    pixels, mask = (noise * 255).astype(np.uint8), np.zeros(noise.shape[:2], np.uint8)
    mask[:, 20:] = 255
    layer = opened(pixels, mask, grey=True)
    preview = engine.preview(layer.number, PreviewRequest(tuple(negative.items()), 100.0), False, Stopper())
    photo = pixels.astype(np.float32) / 255
    painted = paint_fast(Picture(photo), negative).pixels[..., :3]
    mixed = opaque(greyed(composite(Picture(photo, mask / np.float32(255)), painted, BlendSettings(60, True))))
    view = LayerView(Area(0, 0, noise.shape[1], noise.shape[0]), noise.shape[1], noise.shape[0])
    data = engine.mix_preview(layer.number, preview.number, view, BlendSettings(60, keep_colors=True))
    shown = np.frombuffer(data, np.uint8).reshape(mixed.shape)
    assert np.abs(shown.astype(int) - mixed).max() <= 1  # a preview keeps eight bits


@pytest.mark.parametrize("shape", [(40, 60), (2000, 3500)], ids=["small", "with an overview"])
def test_changed_selection_shows_as_if_the_layer_was_opened_with_it(engine, negative, opened, shape):
    pixels = sample("coffee.jpg", shape[1], shape[0])
    mask = np.zeros(shape, np.uint8)
    mask[:, shape[1] // 3 :] = 200
    request = PreviewRequest(tuple(negative.items()), 100.0)
    view = LayerView(Area(0, 0, shape[1], shape[0]), min(shape[1], 300), min(shape[0], 200))

    def shown(layer) -> bytes:
        preview = engine.preview(layer.number, request, True, Stopper())
        return engine.mix_preview(layer.number, preview.number, view, BlendSettings())

    layer, expected = opened(pixels), opened(pixels, mask)
    everywhere = shown(layer)
    engine.select(layer.number, mask.tobytes())
    assert shown(layer) == shown(expected) != everywhere
    engine.select(layer.number, None)
    assert shown(layer) == everywhere


def test_large_layer_is_shown_small_or_in_part(engine, negative, opened):
    large = sample("coffee.jpg", 1500, 1000)
    assert large.shape[0] * large.shape[1] > 2 * WORKING_PIXELS
    layer, styles, full = opened(large), tuple(negative.items()), BlendSettings(100.0)
    assert layer.width * layer.height == pytest.approx(PROXY_PIXELS, rel=0.01)
    view = LayerView(Area(300, 200, 500, 400), 500, 400)
    part = large[200:600, 300:800]
    assert engine.layer_photo(layer.number, view) == part.tobytes()
    preview = engine.preview(layer.number, PreviewRequest(styles, 100.0, view.area), False, Stopper())
    assert engine.mix_preview(layer.number, preview.number, view, full) == (255 - part).tobytes()
    whole = LayerView(Area(0, 0, 1500, 1000), layer.width, layer.height)
    small = np.frombuffer(engine.layer_photo(layer.number), np.uint8).astype(int)
    assert engine.layer_photo(layer.number, whole) == engine.layer_photo(layer.number)
    for is_sketch in (False, True):
        preview = engine.preview(layer.number, PreviewRequest(styles, 100.0), is_sketch, Stopper())
        mixed = np.frombuffer(engine.mix_preview(layer.number, preview.number, whole, full), np.uint8)
        assert np.abs(mixed - (255 - small)).mean() < 1


@pytest.mark.parametrize("box", [(0, 0, 1500, 1000), (311, 207, 640, 480), (860, 520, 640, 480)])
def test_view_at_full_size_shows_the_painting(engine, opened, box):
    large, styles = sample("coffee.jpg", 1500, 1000), find_styles("udnie")
    layer, (x, y, width, height) = opened(large), box
    preview = engine.preview(layer.number, PreviewRequest(tuple(styles.items()), 100.0), False, Stopper())
    view = LayerView(Area(x, y, width, height), width, height)
    shown = np.frombuffer(engine.mix_preview(layer.number, preview.number, view, BlendSettings()), np.uint8)
    picture = Picture(np.dstack([large, np.full(large.shape[:2], 255)]).astype(np.float32) / 255)
    painted = paint_fast(picture, styles).pixels[y : y + height, x : x + width, :3] * 255
    assert np.abs(shown.reshape(height, width, 3) - painted).mean() < 0.6
    shifted = np.roll(painted, 1, axis=1)
    assert np.abs(shown.reshape(height, width, 3) - shifted).mean() > 2


def test_view_keeps_the_colours_of_the_whole_photo(engine, opened):
    large, styles = sample("coffee.jpg", 900, 600), find_styles("starry-night")
    layer, blend = opened(large), BlendSettings(80, keep_colors=True)
    preview = engine.preview(layer.number, PreviewRequest(tuple(styles.items()), 100.0), False, Stopper())
    view = LayerView(Area(100, 50, 300, 200), 300, 200)
    shown = np.frombuffer(engine.mix_preview(layer.number, preview.number, view, blend), np.uint8)
    picture = Picture(np.dstack([large, np.full(large.shape[:2], 255)]).astype(np.float32) / 255)
    painted = paint_fast(picture, styles, FastSettings(blend=blend)).pixels[50:250, 100:400, :3] * 255
    assert np.abs(shown.reshape(200, 300, 3) - painted).mean() < 1


def test_view_of_a_very_large_layer_is_that_of_the_layer(opened, engine):
    large = sample("coffee.jpg", 5000, 3300)
    layer = opened(large)
    shown = np.frombuffer(engine.layer_photo(layer.number, LayerView(Area(1000, 600, 3000, 2000), 750, 500)), np.uint8)
    expected = Image.fromarray(large).resize((750, 500), Image.Resampling.LANCZOS, (1000, 600, 4000, 2600))
    assert np.abs(shown.reshape(500, 750, 3).astype(int) - np.array(expected)).mean() < 1


def sample(name: str, width: int, height: int) -> np.ndarray:
    """Return a sample photo at this size: uint8 [H, W, 3]."""
    with Image.open(SAMPLES / name) as photo:
        return np.array(photo.convert("RGB").resize((width, height)))


def test_stopped_preview_raises(engine, negative, opened, noise):
    stopped = Stopper()
    stopped.stop()
    layer = opened((noise * 255).astype(np.uint8))
    with pytest.raises(StoppedError):
        engine.preview(layer.number, PreviewRequest(tuple(negative.items()), 100.0), False, stopped)


def test_too_large_picture_is_refused(engine):
    with pytest.raises(StyleError, match="make it smaller"):
        engine.check_pictures(10**12)
    engine.check_pictures(1)


def test_kept_render_is_mixed_and_previewed_without_painting(engine, opened, noise):
    photo = (noise[..., :3] * 255).astype(np.uint8)
    render = encode_render(np.full((9, 12, 3), 0.25))
    (painted,) = engine.paint(
        [RawPicture(photo.shape[1], photo.shape[0], 3, photo.tobytes(), eight_bits=True)],
        MixRequest(render, BlendSettings(50)),
    )
    values = np.frombuffer(painted.picture.data, np.uint8).reshape(*photo.shape[:2], 4)[..., :3]
    assert np.abs(values.astype(float) - (photo / 2 + 0.25 * 255 / 2)).max() <= 1.01
    layer = opened(photo)
    shown = engine.preview(layer.number, PreviewRequest((), 100.0, render=render), False, Stopper())
    view = LayerView(Area(0, 0, photo.shape[1], photo.shape[0]), photo.shape[1], photo.shape[0])
    mixed = np.frombuffer(engine.mix_preview(layer.number, shown.number, view, BlendSettings(50)), np.uint8)
    assert np.abs(mixed.reshape(photo.shape).astype(float) - values).max() <= 1
    with pytest.raises(StyleError, match="is damaged"):
        engine.paint([RawPicture(1, 1, 3, b"abc", eight_bits=True)], MixRequest(b"no picture"))


def test_painting_that_would_not_fit_is_refused_before_it_begins(negative, monkeypatch):
    """The pictures take 32 bytes for each of their pixels; strips need little in addition."""
    engine, side, full = LocalEngine(), 4000, FastSettings(full_resolution=True)
    monkeypatch.setattr(memory, "available_memory", lambda: 2**28 + side * side * 50)
    for settings in (FastSettings(), full):
        engine.check_painting([(side, side)], FastRequest(negative, settings))
    with pytest.raises(StyleError, match="make it smaller"):
        engine.check_painting([(side, side), (side, side)], FastRequest(negative, FastSettings()))
    with pytest.raises(StyleError, match="make it smaller"):
        settings = InstantSettings(fast=FastSettings(full_resolution=True))
        engine.check_painting([(side, side)], InstantRequest((), settings))
    monkeypatch.setattr(memory, "available_memory", lambda: 2**28 + side * side * 65 // 2)
    with pytest.raises(StyleError, match=r"with strokes at full resolution has .* make it smaller"):
        engine.check_painting([(side, side)], FastRequest(negative, full))
