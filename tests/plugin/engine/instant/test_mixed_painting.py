import numpy as np
import onnx
import pytest

from nst_core.style_file import read_styles
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.compositing import composite
from plugin.engine.imaging.picture import Picture
from plugin.engine.instant.instant_painting import paint_instantly
from plugin.engine.instant.instant_settings import InstantSettings
from plugin.engine.instant.mixed_painting import paint_mixture
from tests.style_files import negative_style


@pytest.fixture
def negative(tmp_path):
    path = tmp_path / "negative.onnx"
    onnx.save(negative_style(), path)
    return read_styles(path)[0]


def test_mixture_averages_both_paintings(photo, style, negative):
    mask = np.linspace(0, 1, photo.height * photo.width, dtype=np.float32).reshape(photo.height, photo.width)
    masked = Picture(photo.pixels, mask)
    settings = InstantSettings(fast=FastSettings(device="cpu", blend=BlendSettings(70, keep_colors=True)))
    plain = InstantSettings(fast=FastSettings(device="cpu"))
    stages = []

    def progress(step):
        stages.append(step.fraction)
        return True

    mixed = paint_mixture(masked, {style: 0.25}, {negative: 0.75}, settings, progress)
    instant = paint_instantly(photo, {style: 1.0}, plain).pixels[..., :3]
    fast = paint_fast(photo, {negative: 1.0}, plain.fast).pixels[..., :3]
    expected = composite(masked, 0.25 * instant + 0.75 * fast, settings.fast.blend)
    assert np.abs(mixed.pixels - expected).max() < 1e-5
    assert stages == sorted(stages) and stages[0] == 0 and stages[-1] == 1


def test_mixture_of_pictures_alone_is_painted_instantly(photo, style):
    settings = InstantSettings(fast=FastSettings(device="cpu"))
    alone = paint_mixture(photo, {style: 1.0}, {}, settings).pixels
    assert np.array_equal(alone, paint_instantly(photo, {style: 1.0}, settings).pixels)
