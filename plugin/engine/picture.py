"""The one picture type that every host hands over and gets back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nst_core.errors import StyleError


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and, where it was selected, how much.

    Attributes:
        pixels: float32 [H, W, 4], sRGB-encoded RGB in 0..1 and straight (not premultiplied) alpha.
        mask: float32 [H, W] in 0..1, the selection, or None for all of it.
    """

    pixels: np.ndarray
    mask: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if len(shape) != 3 or shape[2] != 4 or self.pixels.dtype != np.float32:
            raise TypeError(f"a picture is float32 [H, W, 4], not {self.pixels.dtype} {list(shape)}")
        if self.mask is not None and self.mask.shape != shape[:2]:
            raise TypeError(f"the mask is {list(self.mask.shape)}, the picture {list(shape[:2])}")
        if 0 in shape:
            raise StyleError("The picture is empty; choose one with at least one pixel.")

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        return self.pixels.shape[1]


def check_strength(strength: float) -> None:
    """Raise StyleError if ``strength``, in percent, is out of range."""
    if not 0 <= strength <= 100:
        raise StyleError(f"The strength is {strength:g}; give one from 0 to 100.")


def network_input(picture: Picture) -> np.ndarray:
    """What a network should see: RGB, float32 [H, W, 3], finite and in 0..1.

    Transparent pixels take the mean visible colour, so that whatever colour hides under them does not bleed in.
    """
    rgb = np.clip(np.nan_to_num(picture.pixels[..., :3]), 0.0, 1.0)
    alpha = np.clip(picture.pixels[..., 3:], 0.0, 1.0)
    if alpha.min() == 1.0:
        return rgb
    visible = alpha.sum()
    mean = (rgb * alpha).sum((0, 1)) / visible if visible > 0 else rgb.mean((0, 1))
    return rgb * alpha + mean.astype(np.float32) * (1 - alpha)


def composite(picture: Picture, styled: np.ndarray, strength: float) -> np.ndarray:
    """Mix the styled RGB ([H, W, 3]) into the picture: float32 [H, W, 4].

    ``strength`` is in percent: 0 gives the picture, 100 the style. Alpha stays; where the mask or alpha is 0, the
    pixel stays to the bit. Cheap, and apart from the network, so a slider may call it again and again.
    """
    amount = np.full(picture.pixels.shape[:2], strength / 100.0, np.float32)
    if picture.mask is not None:
        amount *= picture.mask
    amount[picture.pixels[..., 3] <= 0] = 0
    out = picture.pixels.copy()
    changed = amount > 0
    weight = amount[changed][:, None]
    out[changed, :3] = picture.pixels[changed, :3] * (1 - weight) + styled[changed] * weight
    return out
