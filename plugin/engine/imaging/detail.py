"""Pictures to other sizes, and a small painting of a large photo to the photo's size without looking enlarged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from plugin.engine.imaging.bands import bands, in_threads
from plugin.engine.imaging.picture import LUMA
from plugin.engine.imaging.resampling import Kernel, resampled

# Side of the cells, in pixels of the painting, in each of which the painting is compared with what was painted.
CELL = 4
# Variance of luminance, that of a contrast of about 3 %, below which an area of the photo counts as flat.
FLAT_VARIANCE = 1e-3
SHARPENING = 2.0
# Of colours in 0..1, what counts as grain in a painting.
GRAIN = 0.06
RED, GREEN, BLUE = range(3)


def resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """The picture, float32 [H, W, C] in 0..1, at another size, by cubic filtering; itself if it has that size.

    Like a network's paintings, a resized picture has its channels one after another in memory.
    """
    if picture.shape[:2] == (height, width):
        return picture
    planes = resampled(_planes(picture), (height, width), Kernel.CUBIC)
    in_threads(lambda rows: np.clip(planes[:, rows], 0.0, 1.0, out=planes[:, rows]), bands(height, width))
    return planes.transpose(1, 2, 0)


def enlarged(painted: np.ndarray, seen: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """A painting at the photo's size: strokes grow, the photo's edges are crisp, and there are no halos.

    ``photo`` is float32 [H, W, 3] in 0..1, ``seen`` the same photo at a smaller size, [h, w, 3], as the network saw
    it, and ``painted``, [h, w, 3], what the network made of that. Returns float32 [H, W, 3].

    What ``seen`` lacks of the photo, its finest luminance, is added, times the slope by which the painting's luminance
    follows the photo's in the neighbourhood. The slope is that of the guided filter (He, Sun and Tang, "Guided Image
    Filtering", 2010, eq. 5), found at the small size and enlarged, as in the fast guided filter (He and Sun 2015,
    arXiv 1505.00996). It is weighted with the coefficient of determination, because what is painted freely must
    not take on lines that belong to the photo. Strokes have no such lines to sharpen them, so that the painting is
    unsharp-masked before; and before that its grain, which is a pixel wide and would become lumps, is taken away. All
    stay within the range of the 3x3 painted pixels around, and so leave no halo. The eye sees such fine things in the
    luminance alone: of what the channels have more or less than that only the grain is taken away.
    """
    size = height, width = photo.shape[:2]
    # Little where there is little to enlarge, so that nothing jumps as the size of the strokes leaves 100 %.
    amount = min(1.0, max(height / painted.shape[0], width / painted.shape[1]) - 1.0)
    plane, red, blue = _without_grain(_luma_and_colours(painted), amount)
    luma = _luma(seen)
    finders: list[Callable[[], np.ndarray]] = [
        lambda: _slope(plane, luma),
        lambda: _by_threes(plane, lambda a, b, c: np.minimum(np.minimum(a, b), c)),
        lambda: _by_threes(plane, lambda a, b, c: np.maximum(np.maximum(a, b), c)),
        lambda: plane + SHARPENING * amount * (plane - _smoothed(plane)),
    ]
    slope, darkest, lightest, sharp = in_threads(lambda find: find(), finders)
    parts = [(luma, Kernel.CUBIC), (sharp, Kernel.CUBIC)]
    parts += [(part, Kernel.LINEAR) for part in (slope, darkest, lightest, red, blue)]
    luma, sharp, slope, darkest, lightest, red, blue = in_threads(
        lambda part: _resampled(part[0], size, part[1]), parts
    )
    out = np.empty((3, height, width), np.float32)

    def finish(rows: slice) -> None:
        crisp = _luma(photo[rows])
        crisp -= luma[rows]
        crisp *= slope[rows]
        crisp += sharp[rows]
        np.clip(crisp, darkest[rows], lightest[rows], out=crisp)
        np.clip(crisp + red[rows], 0.0, 1.0, out=out[RED, rows])
        np.clip(crisp + blue[rows], 0.0, 1.0, out=out[BLUE, rows])
        crisp -= LUMA[RED] / LUMA[GREEN] * red[rows]
        crisp -= LUMA[BLUE] / LUMA[GREEN] * blue[rows]
        np.clip(crisp, 0.0, 1.0, out=out[GREEN, rows])

    in_threads(finish, bands(height, width))
    return out.transpose(1, 2, 0)


def _resampled(plane: np.ndarray, size: tuple[int, int], kernel: Kernel) -> np.ndarray:
    return resampled(plane[None], size, kernel)[0]


def _planes(picture: np.ndarray) -> np.ndarray:
    """[H, W, C] as [C, H, W]."""
    planes = picture.transpose(2, 0, 1)
    if planes.flags.c_contiguous:
        return planes
    planes = np.empty(planes.shape, np.float32)

    def copy(rows: slice) -> None:
        for channel, plane in enumerate(planes):
            plane[rows] = picture[rows, :, channel]

    in_threads(copy, bands(*picture.shape[:2]))
    return planes


def _luma(picture: np.ndarray) -> np.ndarray:
    red, green, blue = (picture[..., channel] * LUMA[channel] for channel in (RED, GREEN, BLUE))
    red += green
    red += blue
    return red


def _luma_and_colours(picture: np.ndarray) -> np.ndarray:
    """Of [H, W, 3] the luminance, and what red and blue have more than that: [3, H, W]."""
    planes = np.empty((3, *picture.shape[:2]), np.float32)

    def split(rows: slice) -> None:
        planes[0, rows] = _luma(picture[rows])
        for plane, channel in zip(planes[1:], (RED, BLUE), strict=True):
            np.subtract(picture[rows, :, channel], planes[0, rows], out=plane[rows])

    in_threads(split, bands(*picture.shape[:2]))
    return planes


def _slope(painted: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """How much the painting [h, w] changes with the luminance [h, w] in each cell: [h / CELL, w / CELL]."""
    size = -(-luma.shape[0] // CELL), -(-luma.shape[1] // CELL)
    values = np.stack([luma, painted, luma * luma, luma * painted, painted * painted])
    # Over windows that overlap by half.
    mean_luma, mean_painted, *means = resampled(values, size, Kernel.REDUCE)
    variance = means[0] - mean_luma**2
    covariance = means[1] - mean_luma * mean_painted
    determined = covariance**2 / np.maximum(variance * (means[2] - mean_painted**2), 1e-8)
    return covariance * determined / (variance + FLAT_VARIANCE)


def _without_grain(planes: np.ndarray, amount: float) -> np.ndarray:
    """[C, h, w] smoothed by ``amount`` where it varies less than GRAIN, and its edges kept: the guided filter (He, Sun
    and Tang 2010, section 3.2) of a plane by itself, in windows that overlap by half, with its coefficients found at
    half the size.
    """
    count, *size = planes.shape
    values = np.empty((2 * count, *size), np.float32)
    parts = list(bands(*size))

    def square(rows: slice) -> None:
        values[:count, rows] = planes[:, rows]
        np.square(planes[:, rows], out=values[count:, rows])

    in_threads(square, parts)
    means = resampled(values, (-(-size[0] // 2), -(-size[1] // 2)), Kernel.REDUCE)
    local, variance = means[:count], means[count:]
    variance -= local * local
    np.maximum(variance, 0, out=variance)
    variance /= variance + np.float32(GRAIN**2)
    local -= variance * local
    between = resampled(means, tuple(size), Kernel.LINEAR)
    offset, smooth = between[:count], between[count:]

    def mix(rows: slice) -> None:
        part = smooth[:, rows]
        part *= planes[:, rows]
        part += offset[:, rows]
        part -= planes[:, rows]
        part *= np.float32(amount)
        part += planes[:, rows]

    in_threads(mix, parts)
    return smooth


def _smoothed(plane: np.ndarray) -> np.ndarray:
    return _by_threes(plane, lambda a, b, c: (a + 2 * b + c) / 4)


def _by_threes(plane: np.ndarray, combine: Callable[..., np.ndarray]) -> np.ndarray:
    """Combine each pixel of [h, w] with those above and below, then with those to the left and right."""
    plane = np.pad(plane, 1, mode="edge")
    plane = combine(plane[:-2], plane[1:-1], plane[2:])
    return combine(plane[:, :-2], plane[:, 1:-1], plane[:, 2:])
