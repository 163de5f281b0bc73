"""Enlarge a small painting to the size of its photo, and add the photo's finest detail."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from plugin.engine.imaging.bands import bands, in_threads
from plugin.engine.imaging.recolouring import LUMA
from plugin.engine.imaging.resampling import Kernel, resample_picture, resample_planes, resample_rows, rows_needed

# Side, in pixels of the painting, of the cells in which the painting is compared with what the network saw.
CELL = 4
# Variance of luminance, that of a contrast of about 3 %, below which an area of the photo counts as flat.
FLAT_VARIANCE = 1e-3
SHARPENING = 2.0
# The contrast, for colours in 0..1, up to which a painting's variation counts as grain.
GRAIN = 0.06
RED, GREEN, BLUE = range(3)


def fit_to_photo(painted: np.ndarray, seen: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Return a painting of ``seen`` at the size of ``photo``: enlarged with its detail, or reduced.

    The arguments are those of ``enlarge_painting``.
    """
    if seen.shape == photo.shape:
        return painted
    if is_enlarged(seen.shape, photo.shape):
        return enlarge_painting(painted, seen, photo)
    return resample_picture(painted, *photo.shape[:2])


def is_enlarged(shape: Sequence[int], photo_shape: Sequence[int]) -> bool:
    """Return whether a painting of that height and width has detail to gain from its photo."""
    return shape[0] < photo_shape[0] or shape[1] < photo_shape[1]


def enlarge_painting(painted: np.ndarray, seen: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Enlarge a painting to the photo's size: strokes grow, the photo's edges are crisp, and there are no halos.

    ``photo`` is float32 [H, W, 3] in 0..1; the other arguments are those of ``Enlargement``. Returns float32 [H, W, 3].
    """
    height, width = photo.shape[:2]
    enlargement = Enlargement(painted, seen, height, width)
    out = np.empty((3, height, width), np.float32)

    def finish(rows: slice) -> None:
        out[:, rows] = enlargement.rows(rows, photo[rows]).transpose(2, 0, 1)

    in_threads(finish, bands(height, width))
    return out.transpose(1, 2, 0)


class Enlargement:
    """A painting at the size of its photo, computed when its rows are read.

    The finest luminance of the photo, which the network did not see, is added, times the slope by which the painting's
    luminance follows the photo's in the neighbourhood. The slope is that of the guided filter (He, Sun and Tang,
    "Guided Image Filtering", 2010, eq. 5), computed at the small size and enlarged, as in the fast guided filter (He
    and Sun 2015, arXiv 1505.00996). It is weighted with the coefficient of determination, because freely painted areas
    must not take on lines of the photo.

    Strokes have no such lines that could sharpen them, so an unsharp mask sharpens the painting first. Before that, its
    grain is removed, which is a pixel wide and would become lumps. The result stays within the range of the 3x3 painted
    pixels around, which prevents halos. The eye sees such fine detail only in the luminance, so nothing is added to the
    difference between the channels and the luminance; it only loses its grain.
    """

    def __init__(self, painted: np.ndarray, seen: np.ndarray, height: int, width: int) -> None:
        """Prepare the enlargement to ``height`` x ``width``.

        ``painted``, [h, w, 3] in 0..1, is what the network made of ``seen``, [h, w, 3], the photo at a smaller size.
        """
        self._size = height, width
        # Small for a slight enlargement, so nothing jumps when the stroke size changes from 100 %.
        amount = min(1.0, max(height / painted.shape[0], width / painted.shape[1]) - 1.0)
        plane, red, blue = _without_grain(_luma_and_colours(painted), amount)
        luma = _luma(seen)
        computations: list[Callable[[], np.ndarray]] = [
            lambda: _slope(plane, luma),
            lambda: _by_threes(plane, lambda a, b, c: np.minimum(np.minimum(a, b), c)),
            lambda: _by_threes(plane, lambda a, b, c: np.maximum(np.maximum(a, b), c)),
            lambda: plane + SHARPENING * amount * (plane - _smoothed(plane)),
        ]
        self._slope, darkest, lightest, sharp = in_threads(lambda compute: compute(), computations)
        self._cubic = np.stack([luma, sharp])
        self._linear = np.stack([darkest, lightest, red, blue])

    def rows(self, rows: slice, photo: np.ndarray) -> np.ndarray:
        """Compute rows, float32 [rows, W, 3], from the same rows of the photo, float32 [rows, W, 3] in 0..1."""
        luma, sharp = self._resampled(self._cubic, rows, Kernel.CUBIC)
        darkest, lightest, red, blue = self._resampled(self._linear, rows, Kernel.LINEAR)
        (slope,) = self._resampled(self._slope[None], rows, Kernel.LINEAR)
        out = np.empty((3, *luma.shape), np.float32)
        crisp = _luma(photo)
        crisp -= luma
        crisp *= slope
        crisp += sharp
        np.clip(crisp, darkest, lightest, out=crisp)
        np.clip(crisp + red, 0.0, 1.0, out=out[RED])
        np.clip(crisp + blue, 0.0, 1.0, out=out[BLUE])
        crisp -= LUMA[RED] / LUMA[GREEN] * red
        crisp -= LUMA[BLUE] / LUMA[GREEN] * blue
        np.clip(crisp, 0.0, 1.0, out=out[GREEN])
        return out.transpose(1, 2, 0)

    def _resampled(self, planes: np.ndarray, rows: slice, kernel: Kernel) -> np.ndarray:
        height = planes.shape[1]
        needed = rows_needed(height, self._size[0], rows, kernel)
        return resample_rows(planes[:, needed], needed.start, height, self._size, rows, kernel)


def _luma(picture: np.ndarray) -> np.ndarray:
    luma, green, blue = (picture[..., channel] * LUMA[channel] for channel in (RED, GREEN, BLUE))
    luma += green
    luma += blue
    plane: np.ndarray = luma
    return plane


def _luma_and_colours(picture: np.ndarray) -> np.ndarray:
    """Split [H, W, 3] into the luminance, and the differences of red and blue from it: [3, H, W]."""
    planes = np.empty((3, *picture.shape[:2]), np.float32)

    def split(rows: slice) -> None:
        planes[0, rows] = _luma(picture[rows])
        for plane, channel in zip(planes[1:], (RED, BLUE), strict=True):
            np.subtract(picture[rows, :, channel], planes[0, rows], out=plane[rows])

    in_threads(split, bands(*picture.shape[:2]))
    return planes


def _slope(painted: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """Compute how much the painting [h, w] changes with the luminance [h, w] in each cell: [h / CELL, w / CELL]."""
    size = -(-luma.shape[0] // CELL), -(-luma.shape[1] // CELL)
    values = np.stack([luma, painted, luma * luma, luma * painted, painted * painted])
    # Over windows that overlap by half.
    mean_luma, mean_painted, *means = resample_planes(values, size, Kernel.REDUCE)
    variance = means[0] - mean_luma**2
    covariance = means[1] - mean_luma * mean_painted
    determination = covariance**2 / np.maximum(variance * (means[2] - mean_painted**2), 1e-8)
    slope: np.ndarray = covariance * determination / (variance + FLAT_VARIANCE)
    return slope


def _without_grain(planes: np.ndarray, amount: float) -> np.ndarray:
    """Smooth planes [C, h, w] by ``amount`` where they vary less than GRAIN, and keep their edges.

    This is the guided filter (He, Sun and Tang 2010, section 3.2) of each plane by itself, in windows that overlap by
    half, with its coefficients computed at half the size.
    """
    count, *size = planes.shape
    values = np.empty((2 * count, *size), np.float32)
    parts = list(bands(*size))

    def square(rows: slice) -> None:
        values[:count, rows] = planes[:, rows]
        np.square(planes[:, rows], out=values[count:, rows])

    in_threads(square, parts)
    means = resample_planes(values, (-(-size[0] // 2), -(-size[1] // 2)), Kernel.REDUCE)
    local, variance = means[:count], means[count:]
    variance -= local * local
    np.maximum(variance, 0, out=variance)
    variance /= variance + np.float32(GRAIN**2)
    local -= variance * local
    coefficients = resample_planes(means, (size[0], size[1]), Kernel.LINEAR)
    offset, smooth = coefficients[:count], coefficients[count:]

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
