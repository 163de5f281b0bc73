"""The picture type that every host gives to the engine, and how a painting is mixed into a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.pictures.transparency import filled
from plugin.engine.imaging.bands import bands, in_threads
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.recolouring import luminance_difference, recolour


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and its selection. Raises TypeError for arrays of another kind, StyleError for an empty picture.

    Attributes:
        pixels: float32 [H, W, 4], sRGB-encoded RGB in 0..1 and straight (not premultiplied) alpha.
        mask: float32 [H, W] in 0..1, how much of each pixel is selected, or None for a picture that is selected whole.
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
            raise StyleError(_("The picture is empty; choose one with at least one pixel."))

    @property
    def height(self) -> int:
        """The number of rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """The number of columns."""
        return int(self.pixels.shape[1])


def network_input(picture: Picture) -> np.ndarray:
    """Return RGB for a network: float32 [H, W, 3], finite and in 0..1. An opaque picture in that range is not copied.

    Transparent pixels take the mean visible colour, so the colours under them do not bleed into the painting.
    """
    parts = list(bands(picture.height, picture.width))
    opaque: list[bool] = []

    def check(rows: slice) -> None:
        band = picture.pixels[rows]
        opaque.append(bool(band.min() >= 0 and band.max() <= 1 and band[..., 3].min() == 1))  # False for a NaN

    in_threads(check, parts)
    if all(opaque):
        return picture.pixels[..., :3]
    rgb = np.empty((picture.height, picture.width, 3), np.float32)

    def limit(rows: slice) -> None:
        # fmax and fmin replace a NaN by the other value.
        np.fmin(np.fmax(picture.pixels[rows, :, :3], 0.0), 1.0, out=rgb[rows])

    in_threads(limit, parts)
    alpha = np.clip(picture.pixels[..., 3:], 0.0, 1.0)
    return filled(rgb, alpha)


def composite(
    picture: Picture, painted: np.ndarray, blend: BlendSettings, difference: np.ndarray | None = None
) -> np.ndarray:
    """Mix a painting, RGB [H, W, 3] in 0..1, into the picture. Return float32 [H, W, 4].

    ``difference`` is that of their luminance (see ``luminance_difference``); a part of a picture needs it.
    With ``blend.keep_colors`` only the strokes are the painting's (see ``recolour``). Alpha does not change, nor does
    any bit of a pixel whose mask or alpha is 0. This is cheap and separate from the network, so a slider may call it
    repeatedly.
    """
    out = np.empty_like(picture.pixels)
    if not blend.keep_colors:
        difference = None
    elif difference is None:
        difference = luminance_difference(picture.pixels, painted)

    def mix(rows: slice) -> None:
        photo, alpha, paint = picture.pixels[rows, :, :3], picture.pixels[rows, :, 3:], painted[rows]
        weight = np.where(alpha > 0, np.float32(blend.strength / 100.0), np.float32(0))
        if picture.mask is not None:
            weight *= picture.mask[rows, :, None]
        if difference is not None:
            paint = recolour(photo, paint, difference[rows])
        out[rows, :, 3:] = alpha
        if weight.min() >= 1:
            for channel in range(3):  # several times as fast as all channels at once
                out[rows, :, channel] = paint[..., channel]
            return
        out[rows, :, :3] = photo
        # A NaN of the photo has no part in the mixture. Values outside 0 to 1, such as highlights, do.
        mixed = np.where((weight < 1) & ~np.isnan(photo), photo * (1 - weight) + paint * weight, paint)
        np.copyto(out[rows, :, :3], mixed, where=weight > 0)

    in_threads(mix, bands(picture.height, picture.width))
    return out
