"""Painting in strips for tests, whatever the size."""

import numpy as np

from plugin.engine.fast import network_run
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.imaging.picture import Picture

SETTINGS = FastSettings(full_resolution=True, device="cpu")


def photo(samples, height, width) -> Picture:
    """A part of the sample photo, repeated if it is too small: float32 [height, width, 4]."""
    from PIL import Image

    pixels = np.asarray(Image.open(samples / "chelsea.jpg").convert("RGBA"), np.float32) / 255
    rows, columns = np.arange(height) % pixels.shape[0], np.arange(width) % pixels.shape[1]
    return Picture(np.ascontiguousarray(pixels[rows][:, columns]))


def largest_difference(monkeypatch, styles, picture, strip_pixels) -> float:
    """Return by how much a painting in strips differs from the whole one, in steps of eight bits."""
    whole = paint_fast(picture, styles, SETTINGS).pixels
    monkeypatch.setattr(network_run, "WHOLE_BYTES", 0)
    monkeypatch.setattr(network_run, "STRIP_PIXELS", strip_pixels)
    assert all(network_run.network_memory(style, 64, 64, 2**40).strip_pixels for style in styles)
    strips = paint_fast(picture, styles, SETTINGS).pixels
    assert whole[..., :3].std() > 0.02
    return float(np.abs(strips - whole).max() * 255)
