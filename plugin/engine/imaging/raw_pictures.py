"""Turn the pictures that hosts send into the engine's own, and back."""

from __future__ import annotations

import numpy as np

from plugin.engine.imaging.bands import bands, in_threads
from plugin.engine.imaging.picture import Picture
from plugin.engine.messages import RawPicture


def picture_of(raw: RawPicture) -> Picture:
    """Return the picture that a host sent."""
    kind, unit = (np.uint8, np.float32(255)) if raw.eight_bits else (np.float32, np.float32(1))
    values = np.frombuffer(raw.data, kind).reshape(raw.height, raw.width, raw.channels)
    planes = np.empty((4, raw.height, raw.width), np.float32)  # the layout that resizing needs

    def copy(rows: slice) -> None:
        for channel in range(raw.channels):
            np.divide(values[rows, :, channel], unit, out=planes[channel, rows])
        planes[raw.channels :, rows] = 1

    in_threads(copy, bands(raw.height, raw.width))
    mask = None
    if raw.mask is not None:
        mask = np.divide(np.frombuffer(raw.mask, kind).reshape(raw.height, raw.width), unit)
    return Picture(planes.transpose(1, 2, 0), mask)


def raw_of(pixels: np.ndarray, eight_bits: bool) -> RawPicture:
    """Return pixels, float32 [H, W, C] in 0..1, as a host takes them: in eight bits or as float32."""
    height, width, channels = pixels.shape
    values = np.empty(pixels.shape, np.uint8 if eight_bits else np.float32)

    def copy(rows: slice) -> None:
        for channel in range(channels):  # each has its own plane
            plane = pixels[rows, :, channel]
            if eight_bits:
                plane = plane * np.float32(255) + np.float32(0.5)
            np.copyto(values[rows, :, channel], plane, casting="unsafe")

    in_threads(copy, bands(height, width))
    return RawPicture(width, height, channels, values.data.cast("B"), None, eight_bits)
