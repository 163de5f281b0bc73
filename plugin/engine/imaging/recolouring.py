"""Combine the strokes of a painting with the colours of its photo."""

from __future__ import annotations

import numpy as np

from plugin.engine.imaging.bands import bands, in_threads
from plugin.engine.imaging.resampling import Kernel, resample_planes

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, the Y of YIQ
# The photo's luminance is kept in about this number of cells, so a stroke is smaller than a cell.
CELLS = 96


def luminance_difference(photo: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """Compute by how much the photo is lighter than the painting in each area, smoothly: float32 [H, W].

    ``photo`` is [H, W, 4], sRGB-encoded with straight alpha, and ``painted`` [H, W, 3]. Transparent pixels do not
    count.
    """
    height, width = photo.shape[:2]
    planes = np.empty((2, height, width), np.float32)  # the difference times alpha, and alpha

    def subtract(rows: slice) -> None:
        np.clip(np.nan_to_num(photo[rows, :, 3]), 0, 1, out=planes[1, rows])
        planes[0, rows] = (_limited(photo[rows, :, :3]) @ LUMA - painted[rows] @ LUMA) * planes[1, rows]

    in_threads(subtract, bands(height, width))
    scale = min(1.0, (CELLS / (height * width)) ** 0.5)
    cells = max(1, round(height * scale)), max(1, round(width * scale))
    difference, alpha = resample_planes(planes, cells, Kernel.REDUCE)
    difference /= np.maximum(alpha, np.float32(1e-6))
    enlarged: np.ndarray = resample_planes(difference[None], (height, width), Kernel.CUBIC)[0]
    return enlarged


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
