"""How a painting is mixed into a picture: strength, keep colours, alpha and mask."""

from __future__ import annotations

import numpy as np

from plugin.engine.imaging.bands import bands, in_threads
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.picture import Picture
from plugin.engine.imaging.recolouring import luminance_difference, recolour


def composite(
    picture: Picture, painted: np.ndarray, blend: BlendSettings, difference: np.ndarray | None = None
) -> np.ndarray:
    """Mix a painting, RGB [H, W, 3] in 0..1, into the picture. Return float32 [H, W, 4].

    ``difference`` is that of their luminance (see ``luminance_difference``); a part of a picture needs it.
    This is cheap and separate from the network, so a slider may call it repeatedly.
    """
    out = np.empty_like(picture.pixels)
    if not blend.keep_colors:
        difference = None
    elif difference is None:
        difference = luminance_difference(picture.pixels, painted)

    def mix(rows: slice) -> None:
        part = None if difference is None else difference[rows]
        composite_rows(picture, rows, painted[rows], blend, part, out[rows])

    in_threads(mix, bands(picture.height, picture.width))
    return out


def composite_rows(
    picture: Picture,
    rows: slice,
    paint: np.ndarray,
    blend: BlendSettings,
    difference: np.ndarray | None,
    out: np.ndarray,
) -> None:
    """Mix rows of a painting, RGB [rows, W, 3] in 0..1, into the picture, and write them to ``out``, [rows, W, 4].

    With ``difference``, [rows, W], only the strokes are the painting's (see ``recolour``). Alpha does not change, nor
    does any bit of a pixel whose mask or alpha is 0.
    """
    pixels = picture.rows(rows)
    photo, alpha = pixels[..., :3], pixels[..., 3:]
    weight = np.where(alpha > 0, np.float32(blend.strength / 100.0), np.float32(0))
    if picture.mask is not None:
        weight *= picture.mask[rows, :, None]
    if difference is not None:
        paint = recolour(photo, paint, difference)
    out[..., 3:] = alpha
    if weight.min() >= 1:
        for channel in range(3):  # several times as fast as all channels at once
            out[..., channel] = paint[..., channel]
        return
    out[..., :3] = photo
    # A NaN of the photo has no part in the mixture. Values outside 0 to 1, such as highlights, do.
    mixed = np.where((weight < 1) & ~np.isnan(photo), photo * (1 - weight) + paint * weight, paint)
    np.copyto(out[..., :3], mixed, where=weight > 0)
