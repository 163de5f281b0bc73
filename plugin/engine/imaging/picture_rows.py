"""Pictures that are read in rows, so a large one is never whole in memory as floats."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from plugin.engine.imaging.bands import bands, in_threads
from plugin.engine.imaging.resampling import Kernel, resample_rows, rows_needed


class PictureRows(Protocol):
    """An RGB picture, read in rows. ``rows`` may be called from several threads."""

    @property
    def height(self) -> int:
        """The number of rows."""

    @property
    def width(self) -> int:
        """The number of columns."""

    def rows(self, rows: slice) -> np.ndarray:
        """Return rows as float32 [rows, width, 3], sRGB-encoded in 0..1, finite."""


class ArrayRows:
    """A picture that is in memory, float32 [H, W, 3]."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.height, self.width = int(pixels.shape[0]), int(pixels.shape[1])

    def rows(self, rows: slice) -> np.ndarray:
        """Return rows as they are."""
        part: np.ndarray = self.pixels[rows]
        return part


class ResampledRows:
    """A picture at another size, computed by cubic filtering when it is read (see ``resample_picture``)."""

    def __init__(self, source: PictureRows, height: int, width: int) -> None:
        self._source, self.height, self.width = source, height, width

    def rows(self, rows: slice) -> np.ndarray:
        """Compute rows."""
        height = self._source.height
        needed = rows_needed(height, self.height, rows, Kernel.CUBIC)
        planes = self._source.rows(needed).transpose(2, 0, 1)
        size = self.height, self.width
        resized = resample_rows(np.ascontiguousarray(planes), needed.start, height, size, rows, Kernel.CUBIC)
        return np.clip(resized, 0.0, 1.0, out=resized).transpose(1, 2, 0)


def resampled(source: PictureRows, height: int, width: int) -> PictureRows:
    """Return a picture at another size: in memory if it is smaller, else computed when it is read."""
    if (source.height, source.width) == (height, width):
        return source
    resized = ResampledRows(source, height, width)
    return resized if height * width >= source.height * source.width else ArrayRows(whole_picture(resized))


def whole_picture(source: PictureRows) -> np.ndarray:
    """Return all rows of a picture, float32 [H, W, 3]. The channels lie one after another, as in a network's output."""
    planes = np.empty((3, source.height, source.width), np.float32)

    def copy(rows: slice) -> None:
        part = source.rows(rows)
        for channel, plane in enumerate(planes):
            plane[rows] = part[..., channel]

    in_threads(copy, bands(source.height, source.width))
    return planes.transpose(1, 2, 0)
