"""The one picture type that every host hands over and gets back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from plugin.engine.imaging.bands import bands, in_threads
from plugin.engine.imaging.blend_settings import BlendSettings

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, the Y of YIQ


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
            raise StyleError(_("The picture is empty; choose one with at least one pixel."))

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        return self.pixels.shape[1]


def network_input(picture: Picture) -> np.ndarray:
    """What a network should see: RGB, float32 [H, W, 3], finite and in 0..1; the picture's own pixels if they are so.

    Transparent pixels take the mean visible colour, so that whatever colour hides under them does not bleed in.
    """
    parts = list(bands(picture.height, picture.width))
    plain = []

    def look(rows: slice) -> None:
        band = picture.pixels[rows]
        plain.append(band.min() >= 0 and band.max() <= 1 and band[..., 3].min() == 1)  # not so if there is a NaN

    in_threads(look, parts)
    if all(plain):
        return picture.pixels[..., :3]
    rgb = np.empty((picture.height, picture.width, 3), np.float32)

    def limit(rows: slice) -> None:
        # Of a number and no number, fmax takes the number.
        np.fmin(np.fmax(picture.pixels[rows, :, :3], 0.0), 1.0, out=rgb[rows])

    in_threads(limit, parts)
    alpha = np.clip(picture.pixels[..., 3:], 0.0, 1.0)
    visible = alpha.sum()
    mean = (rgb * alpha).sum((0, 1)) / visible if visible > 0 else rgb.mean((0, 1))
    return rgb * alpha + mean.astype(np.float32) * (1 - alpha)


def composite(picture: Picture, styled: np.ndarray, blend: BlendSettings) -> np.ndarray:
    """Mix the styled RGB ([H, W, 3], in 0..1) into the picture: float32 [H, W, 4].

    With ``blend.keep_colors`` only the luminance is the style's (see ``recoloured``). Alpha stays, and every bit of a
    pixel whose mask or alpha is 0. This is cheap and separate from the network, so a slider may call it repeatedly.
    """
    out = np.empty_like(picture.pixels)

    def mix(rows: slice) -> None:
        photo, alpha, paint = picture.pixels[rows, :, :3], picture.pixels[rows, :, 3:], styled[rows]
        weight = np.where(alpha > 0, np.float32(blend.strength / 100.0), np.float32(0))
        if picture.mask is not None:
            weight *= picture.mask[rows, :, None]
        if blend.keep_colors:
            paint = recoloured(photo, paint)
        out[rows, :, 3:] = alpha
        if weight.min() >= 1:
            for channel in range(3):  # several times as fast as all at once
                out[rows, :, channel] = paint[..., channel]
            return
        out[rows, :, :3] = photo
        # Where nothing of the photo is left, it may be no number.
        mixed = np.where(weight < 1, photo * (1 - weight) + paint * weight, paint)
        np.copyto(out[rows, :, :3], mixed, where=weight > 0)

    in_threads(mix, bands(picture.height, picture.width))
    return out


def recoloured(photo: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """The luminance of ``painted`` and the colours of ``photo``, both sRGB-encoded [..., 3]: float32 in 0..1.

    This is the luminance-only transfer of Gatys et al., "Preserving Color in Neural Artistic Style Transfer" (2016,
    arXiv 1606.05897), section 4. As there, the colour space is YIQ, whose luminance is a weighted sum of the encoded
    channels: what a channel has more or less than that is colour, so that a slider pays for one sum and no
    conversion, and greys stay grey. Where a colour does not exist at the new luminance it fades towards grey, which
    keeps its hue; clipping the channels would change it.
    """
    photo = np.clip(np.nan_to_num(photo), 0.0, 1.0)
    luma = (painted @ LUMA)[..., None].clip(0.0, 1.0)
    colour = photo - (photo @ LUMA)[..., None]
    room = np.where(colour > 0, 1.0 - luma, luma)
    # 1 where every channel fits; a channel without colour always does.
    fits = np.min(room / np.maximum(np.abs(colour), np.maximum(room, 1e-12)), axis=-1, keepdims=True)
    return np.clip(luma + colour * fits, 0.0, 1.0).astype(np.float32)
