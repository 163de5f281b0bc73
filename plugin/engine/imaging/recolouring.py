"""Combine the strokes of a painting with the colours of its photo."""

from __future__ import annotations

import functools

import numpy as np

from plugin.engine.imaging.bands import bands, in_threads
from plugin.engine.imaging.resampling import Kernel, add_to_rows, resample_rows

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, the Y of YIQ
# The photo's luminance is kept in about this number of cells, so a stroke is smaller than a cell.
CELLS = 96


class LuminanceDifference:
    """By how much the photo is lighter than the painting in each area, smoothly.

    First ``add`` all rows, from any thread and in any order, then read ``rows``.
    """

    def __init__(self, height: int, width: int) -> None:
        self._size = height, width
        scale = min(1.0, (CELLS / (height * width)) ** 0.5)
        self._cells = max(1, round(height * scale)), max(1, round(width * scale))
        # For the first row of each part: the sums of the difference times alpha, and of alpha.
        self._sums: dict[int, np.ndarray] = {}

    def add(self, rows: slice, photo: np.ndarray, painted: np.ndarray) -> None:
        """Add rows of the photo, [rows, W, 4] with straight alpha, and of the painting, [rows, W, 3].

        Both are sRGB-encoded. Transparent pixels do not count.
        """
        alpha = np.clip(np.nan_to_num(photo[..., 3]), 0, 1)
        difference = (_limited(photo[..., :3]) @ LUMA - painted @ LUMA) * alpha
        planes = np.stack([difference, alpha])
        self._sums[rows.start] = add_to_rows(planes, rows, self._size[0], self._cells, Kernel.REDUCE)

    def rows(self, rows: slice) -> np.ndarray:
        """Compute rows of the difference, float32 [rows, W]."""
        enlarged: np.ndarray = resample_rows(self._means, 0, self._cells[0], self._size, rows, Kernel.CUBIC)[0]
        return enlarged

    @functools.cached_property
    def _means(self) -> np.ndarray:
        """The mean difference in each cell, float32 [1, rows, columns]."""
        # In order, because the last bit of a sum depends on that.
        difference, alpha = np.sum([self._sums[first] for first in sorted(self._sums)], 0)
        means: np.ndarray = (difference / np.maximum(alpha, 1e-6))[None].astype(np.float32)
        return means


def luminance_difference(photo: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """Compute the whole ``LuminanceDifference`` of a photo, [H, W, 4], and its painting, [H, W, 3]: float32 [H, W]."""
    height, width = photo.shape[:2]
    difference = LuminanceDifference(height, width)
    in_threads(lambda rows: difference.add(rows, photo[rows], painted[rows]), bands(height, width))
    whole = np.empty((height, width), np.float32)

    def compute(rows: slice) -> None:
        whole[rows] = difference.rows(rows)

    in_threads(compute, bands(height, width))
    return whole


def recolour(photo: np.ndarray, painted: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """Combine the luminance of ``painted`` with the colours of ``photo``, both sRGB-encoded [..., 3].

    ``difference`` [...] is added to the luminance: with ``luminance_difference`` the strokes are the painting's, while
    each area as a whole is as light as in the photo. Without it a sky that is dark in the painting would be dark too,
    and pink becomes brown when it is darkened.

    Returns float32 in 0..1. This is the luminance-only transfer of Gatys et al., "Preserving Color in Neural Artistic
    Style Transfer" (2016, arXiv 1606.05897), section 4, in the same colour space, YIQ, but matches the luminance in
    each area rather than its mean and variance in the whole picture. YIQ's luminance is a weighted sum of the encoded
    channels, and the difference between a channel and that sum is colour: a slider costs one sum and no conversion, and
    greys stay grey. A colour that does not exist at the new luminance fades towards grey, which keeps its hue; clipping
    the channels would change the hue.
    """
    photo = _limited(photo)
    luma = (painted @ LUMA + difference)[..., None].clip(0.0, 1.0)
    colour = photo - (photo @ LUMA)[..., None]
    room = np.where(colour > 0, 1.0 - luma, luma)
    # 1 where every channel is in range; a channel without colour always is.
    fade = np.min(room / np.maximum(np.abs(colour), np.maximum(room, 1e-12)), axis=-1, keepdims=True)
    rgb: np.ndarray = np.clip(luma + colour * fade, 0.0, 1.0).astype(np.float32)
    return rgb


def _limited(photo: np.ndarray) -> np.ndarray:
    limited: np.ndarray = np.clip(np.nan_to_num(photo), 0.0, 1.0)
    return limited
