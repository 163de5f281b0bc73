"""Pictures to other sizes, and a small painting of a large photo to the photo's size without looking enlarged."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from PIL import Image

from plugin.engine.parallel import bands, in_threads
from plugin.engine.picture import LUMA

# Side of the cells, in pixels of the painting, in each of which the painting is compared with what was painted.
CELL = 4
# Variance of luminance, that of a contrast of about 3 %, below which an area of the photo counts as flat.
FLAT_VARIANCE = 1e-3
SHARPENING = 2.0
# Of colours in 0..1, what counts as grain in a painting.
GRAIN = 0.06


def resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """The picture, float32 [H, W, C] in 0..1, at another size, by Lanczos filtering; itself if it has that size."""
    if picture.shape[:2] == (height, width):
        return picture
    out = np.empty((height, width, picture.shape[2]), np.float32)

    def resize(channel: int) -> None:
        plane = _plane(picture[..., channel], height, width, Image.Resampling.LANCZOS)
        np.clip(plane, 0.0, 1.0, out=out[..., channel])

    in_threads(resize, range(picture.shape[2]))
    return out


def enlarged(painted: np.ndarray, seen: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """A painting at the photo's size: strokes grow, the photo's edges are crisp, and there are no halos.

    ``photo`` is float32 [H, W, 3] in 0..1, ``seen`` the same photo at a smaller size, [h, w, 3], as the network saw
    it, and ``painted``, [h, w, 3], what the network made of that. Returns float32 [H, W, 3].

    What ``seen`` lacks of the photo, its finest luminance, is added, times the slope by which the painting follows
    the photo in the neighbourhood. The slope is that of the guided filter (He, Sun and Tang, "Guided Image
    Filtering", 2010, eq. 5), found at the small size and enlarged, as in the fast guided filter (He and Sun 2015,
    arXiv 1505.00996). It is weighted with the coefficient of determination, because what is painted freely must
    not take on lines that belong to the photo. Strokes have no such lines to sharpen them, so that the painting is
    unsharp-masked before; and before that its grain, which is a pixel wide and would become lumps, is taken away. All
    stay within the range of the 3x3 painted pixels around, and so leave no halo.
    """
    height, width = photo.shape[:2]
    # Little where there is little to enlarge, so that nothing jumps as the size of the strokes leaves 100 %.
    amount = min(1.0, max(height / painted.shape[0], width / painted.shape[1]) - 1.0)
    luma = seen @ LUMA
    small: list[list[Image.Image]] = [[], [], []]
    small_slope: list[Image.Image] = []

    def find_slope() -> None:
        slope = _slope(painted, luma)
        small_slope.extend(_image(slope[..., channel]) for channel in range(3))

    def prepare(channel: int) -> None:
        plane = painted[..., channel]
        plane = plane + amount * (_without_grain(plane) - plane)
        sharp = plane + SHARPENING * amount * (plane - _smoothed(plane))
        darkest = _by_threes(plane, lambda a, b, c: np.minimum(np.minimum(a, b), c))
        lightest = _by_threes(plane, lambda a, b, c: np.maximum(np.maximum(a, b), c))
        small[channel] = [_image(part) for part in (sharp, darkest, lightest)]

    parts: list[Callable[[], None]] = [find_slope, *(functools.partial(prepare, channel) for channel in range(3))]
    in_threads(lambda part: part(), parts)
    small_luma = _image(luma)
    out = np.empty_like(photo)

    def enlarge(rows: slice) -> None:
        def part(image: Image.Image, kernel: Image.Resampling) -> np.ndarray:
            box = (0, rows.start * image.height / height, image.width, rows.stop * image.height / height)
            return np.asarray(image.resize((width, rows.stop - rows.start), kernel, box))

        detail = photo[rows] @ LUMA - part(small_luma, Image.Resampling.LANCZOS)
        for channel, (sharp, *limits) in enumerate(small):
            slope = part(small_slope[channel], Image.Resampling.BILINEAR)
            crisp = part(sharp, Image.Resampling.LANCZOS) + detail * slope
            # Bilinear filtering makes nothing that is lighter or darker than its input.
            darkest, lightest = (part(limit, Image.Resampling.BILINEAR) for limit in limits)
            np.clip(crisp, darkest, lightest, out=out[rows, :, channel])

    in_threads(enlarge, bands(height, width))
    return out


def _slope(painted: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """How much the painting [h, w, 3] changes with the luminance [h, w] in each cell: [h / CELL, w / CELL, 3]."""
    height, width = (-(-extent // CELL) for extent in luma.shape)

    def mean(plane: np.ndarray) -> np.ndarray:
        return _plane(plane, height, width, Image.Resampling.BILINEAR)  # over windows that overlap by half

    mean_luma = mean(luma)
    variance = mean(luma * luma) - mean_luma**2
    covariances, painted_variance = [], np.float32(0)
    for channel in range(3):
        plane = painted[..., channel]
        mean_plane = mean(plane)
        covariances.append(mean(luma * plane) - mean_luma * mean_plane)
        painted_variance = painted_variance + mean(plane * plane) - mean_plane**2
    covariance = np.stack(covariances, axis=2)
    determined = (covariance**2).sum(2) / np.maximum(variance * painted_variance, 1e-8)
    return covariance * (determined / (variance + FLAT_VARIANCE))[..., None]


def _without_grain(plane: np.ndarray) -> np.ndarray:
    """[h, w] smoothed where it varies less than GRAIN, and its edges kept: the guided filter (He, Sun and Tang 2010,
    section 3.2) of a plane by itself, in windows that overlap by half, with its coefficients found at half the size.
    """
    height, width = plane.shape

    def mean(values: np.ndarray) -> np.ndarray:
        return _plane(values, -(-height // 2), -(-width // 2), Image.Resampling.BILINEAR)

    def between(values: np.ndarray) -> np.ndarray:
        return _plane(values, height, width, Image.Resampling.BILINEAR)

    local = mean(plane)
    variance = np.maximum(mean(plane * plane) - local * local, 0)
    kept = variance / (variance + np.float32(GRAIN**2))
    return between(kept) * plane + between(local - kept * local)


def _smoothed(plane: np.ndarray) -> np.ndarray:
    return _by_threes(plane, lambda a, b, c: (a + 2 * b + c) / 4)


def _by_threes(plane: np.ndarray, combine: Callable[..., np.ndarray]) -> np.ndarray:
    """Combine each pixel of [h, w] with those above and below, then with those to the left and right."""
    plane = np.pad(plane, 1, mode="edge")
    plane = combine(plane[:-2], plane[1:-1], plane[2:])
    return combine(plane[:, :-2], plane[:, 1:-1], plane[:, 2:])


def _plane(plane: np.ndarray, height: int, width: int, kernel: Image.Resampling) -> np.ndarray:
    """float32 [h, w] to [height, width]; where that is smaller, the kernel widens, so that nothing aliases."""
    return np.asarray(_image(plane).resize((width, height), kernel))


def _image(plane: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(plane, np.float32))
