"""Pictures to other sizes, and a small painting of a large photo to the photo's size without looking enlarged."""

from __future__ import annotations

import functools
import itertools
import math
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
# Of the widest kernel, Lanczos, to each side, in pixels of the smaller picture.
KERNEL_REACH = 3
RED, GREEN, BLUE = range(3)


def resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """The picture, float32 [H, W, C] in 0..1, at another size, by Lanczos filtering; itself if it has that size."""
    if picture.shape[:2] == (height, width):
        return picture
    channels = range(picture.shape[2])
    out = np.empty((height, width, len(channels)), np.float32)

    def resize(part: tuple[slice, int]) -> None:
        rows, channel = part
        plane = _rows(picture[..., channel], rows, height, width, Image.Resampling.LANCZOS)
        np.clip(plane, 0.0, 1.0, out=out[rows, :, channel])

    in_threads(resize, itertools.product(bands(height, width), channels))
    return out


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
    height, width = photo.shape[:2]
    # Little where there is little to enlarge, so that nothing jumps as the size of the strokes leaves 100 %.
    amount = min(1.0, max(height / painted.shape[0], width / painted.shape[1]) - 1.0)
    luma, painted_luma = seen @ LUMA, painted @ LUMA
    small = {"luma": luma}

    def clean(plane: np.ndarray) -> np.ndarray:
        return plane + amount * (_without_grain(plane) - plane)

    def prepare_luma() -> None:
        plane = clean(painted_luma)
        small["sharp"] = plane + SHARPENING * amount * (plane - _smoothed(plane))
        small["darkest"] = _by_threes(plane, lambda a, b, c: np.minimum(np.minimum(a, b), c))
        small["lightest"] = _by_threes(plane, lambda a, b, c: np.maximum(np.maximum(a, b), c))

    def prepare_colour(channel: int) -> None:
        small[f"colour {channel}"] = clean(painted[..., channel] - painted_luma)

    def prepare_slope() -> None:
        small["slope"] = _slope(painted_luma, luma)

    # The longest first, so that two processors end together.
    steps: list[Callable[[], None]] = [prepare_luma]
    steps += [functools.partial(prepare_colour, channel) for channel in (RED, BLUE)]
    in_threads(lambda step: step(), [*steps, prepare_slope])
    out = np.empty_like(photo)

    def enlarge(rows: slice) -> None:
        def part(name: str, kernel: Image.Resampling = Image.Resampling.BILINEAR) -> np.ndarray:
            return _rows(small[name], rows, height, width, kernel)

        detail = photo[rows] @ LUMA - part("luma", Image.Resampling.LANCZOS)
        crisp = part("sharp", Image.Resampling.LANCZOS) + detail * part("slope")
        # Bilinear filtering makes nothing that is lighter or darker than its input.
        crisp = green = np.clip(crisp, part("darkest"), part("lightest"))
        for channel in (RED, BLUE):
            colour = part(f"colour {channel}")
            np.clip(crisp + colour, 0.0, 1.0, out=out[rows, :, channel])
            green = green - LUMA[channel] / LUMA[GREEN] * colour
        np.clip(green, 0.0, 1.0, out=out[rows, :, GREEN])

    in_threads(enlarge, bands(height, width))
    return out


def _slope(painted: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """How much the painting [h, w] changes with the luminance [h, w] in each cell: [h / CELL, w / CELL]."""
    height, width = (-(-extent // CELL) for extent in luma.shape)

    def mean(plane: np.ndarray) -> np.ndarray:
        return _plane(plane, height, width, Image.Resampling.BILINEAR)  # over windows that overlap by half

    mean_luma, mean_painted = mean(luma), mean(painted)
    variance = mean(luma * luma) - mean_luma**2
    covariance = mean(luma * painted) - mean_luma * mean_painted
    determined = covariance**2 / np.maximum(variance * (mean(painted * painted) - mean_painted**2), 1e-8)
    return covariance * determined / (variance + FLAT_VARIANCE)


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
    return _rows(plane, slice(0, height), height, width, kernel)


def _rows(plane: np.ndarray, rows: slice, height: int, width: int, kernel: Image.Resampling) -> np.ndarray:
    """These rows of what ``_plane`` makes."""
    top, bottom = (row * plane.shape[0] / height for row in (rows.start, rows.stop))
    reach = KERNEL_REACH * max(1.0, plane.shape[0] / height)
    first, last = max(0, math.floor(top - reach)), math.ceil(bottom + reach)
    # A copy of what is needed and no more, for fresh memory takes the system longer than the copying.
    image = Image.fromarray(np.ascontiguousarray(plane[first:last], np.float32))
    box = 0, top - first, plane.shape[1], bottom - first
    return np.asarray(image.resize((width, rows.stop - rows.start), kernel, box))
