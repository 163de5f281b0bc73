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
    mask = None
    if raw.mask is not None:
        mask = np.divide(np.frombuffer(raw.mask, kind).reshape(raw.height, raw.width), unit)
    return Picture(values, mask)


def raw_of(pixels: np.ndarray, eight_bits: bool) -> RawPicture:
    """Return pixels as a host takes them: in eight bits or as float32.

    They are float32 [H, W, C] in 0..1, or of the kind that the host takes.
    """
    height, width, channels = pixels.shape
    kind = np.dtype(np.uint8 if eight_bits else np.float32)
    if pixels.dtype == kind and pixels.flags.c_contiguous:
        return RawPicture(width, height, channels, pixels.data.cast("B"), None, eight_bits)
    values = np.empty(pixels.shape, kind)

    def copy(rows: slice) -> None:
        for channel in range(channels):  # each has its own plane
            plane = pixels[rows, :, channel]
            if eight_bits:
                plane = plane * np.float32(255) + np.float32(0.5)
            np.copyto(values[rows, :, channel], plane, casting="unsafe")

    in_threads(copy, bands(height, width))
    return RawPicture(width, height, channels, values.data.cast("B"), None, eight_bits)
