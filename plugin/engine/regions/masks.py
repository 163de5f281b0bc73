"""Masks: from a picture of any size, softened at their edges, and to protect what should keep its looks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nst_core.base.language import _
from plugin.engine.imaging.bands import bands, in_threads
from plugin.engine.imaging.picture import Picture
from plugin.engine.imaging.recolouring import LUMA
from plugin.engine.imaging.resampling import Kernel, resample_planes
from plugin.engine.machine.memory import check_memory

# A difference of channels below this, in 0..1, is a rounding error of the file rather than a colour.
COLOURLESS = 2 / 255
# In addition to the picture itself: a copy of it, and planes of single numbers.
MASK_BYTES_PER_PIXEL = 40


def mask_of(picture: Picture, height: int, width: int, name: str) -> tuple[np.ndarray, list[str]]:
    """Return the mask that a picture shows, float32 [height, width] in 0..1, and sentences for the user.

    White is in the mask, black outside; the luminance of a colour picture counts, and transparent pixels are black.
    ``name`` is what the sentences call the picture. Raises StyleError if memory is short.
    """
    notes = []
    check_memory(picture.height * picture.width, MASK_BYTES_PER_PIXEL, on_gpu=False, subject=name)
    pixels = np.nan_to_num(picture.pixels)
    pixels.clip(0, 1, out=pixels)
    rgb = pixels[..., :3]
    if (rgb.max(-1) - rgb.min(-1)).max() > COLOURLESS:
        notes.append(_("{mask} has colours; its luminance is the mask.").format(mask=name))
    # Exact for grey: the weights of LUMA sum to 1 except for rounding.
    mask = np.where(rgb.max(-1) == rgb.min(-1), rgb[..., 1], rgb @ LUMA).clip(0, 1) * pixels[..., 3]
    if mask.shape != (height, width):
        notes.append(
            _("{mask} has {columns}x{rows} pixels and the photo {width}x{height}; the mask is resized.").format(
                mask=name, columns=mask.shape[1], rows=mask.shape[0], width=width, height=height
            )
        )
        mask = resized_mask(mask, height, width)
    if not mask.any():
        notes.append(_("{mask} is all black, so nothing is in it.").format(mask=name))
    return mask.astype(np.float32), notes


def resized_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a mask, float32 [h, w] in 0..1, at another size; itself at its own."""
    if mask.shape == (height, width):
        return mask
    smaller = height <= mask.shape[0] and width <= mask.shape[1]
    plane = np.ascontiguousarray(mask, np.float32)[None]
    resized: np.ndarray = resample_planes(plane, (height, width), Kernel.REDUCE if smaller else Kernel.LINEAR)[0]
    return resized.clip(0, 1)


def feathered(mask: np.ndarray, feather: int) -> np.ndarray:
    """Return a mask, float32 [H, W], with edges that soften over ``feather`` pixels on each side.

    Three box filters, whose radii sum to ``feather``, are nearly a Gaussian (Wells 1986), and reach no farther.
    """
    third, remainder = divmod(feather, 3)
    for number in range(3):
        radius = third + (number < remainder)
        if radius:
            mask = _boxed_rows(_boxed_rows(mask, radius).T, radius).T
    return np.ascontiguousarray(mask)


def protected(picture: Picture, mask: np.ndarray, strength: float) -> Picture:
    """Return the picture with ``strength`` percent of the style where ``mask``, float32 [H, W], is 1."""
    left = 1 - mask * np.float32(1 - strength / 100.0)
    return replace(picture, mask=left if picture.mask is None else picture.mask * left)


def _boxed_rows(mask: np.ndarray, radius: int) -> np.ndarray:
    """Return [H, W] with each value replaced by the mean of its row within ``radius``; edges are continued."""
    out = np.empty(mask.shape, np.float32)

    def smooth(rows: slice) -> None:
        padded = np.pad(mask[rows].astype(np.float64), [(0, 0), (radius + 1, radius)], mode="edge")
        padded[:, 0] = 0  # what the first sum begins with
        sums = np.cumsum(padded, axis=1)
        np.divide(sums[:, 2 * radius + 1 :] - sums[:, : -2 * radius - 1], 2 * radius + 1, out=out[rows])

    in_threads(smooth, bands(*mask.shape))
    return out
