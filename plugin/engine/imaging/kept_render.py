"""Encode the render of a picture for a host to keep, and mix it with its photo again in another way."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.compositing import composite
from plugin.engine.imaging.picture import Picture
from plugin.engine.imaging.resampling import resample_picture

# A larger one would make the host's files large, and is not kept.
MOST_RENDER_BYTES = 2**24
MAX_PIXELS = 2**26


@dataclass(frozen=True, eq=False)
class MixResult:
    """A painting: float32 pixels [H, W, 4] like the picture's. It has no seconds and no notes to tell."""

    pixels: np.ndarray
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def encode_render(render: np.ndarray) -> bytes:
    """Return a render, RGB [h, w, 3] in 0..1, as an eight-bit PNG, or nothing if that has over MOST_RENDER_BYTES."""
    file = io.BytesIO()
    Image.fromarray((np.clip(render, 0, 1) * 255 + 0.5).astype(np.uint8)).save(file, "PNG")
    return file.getvalue() if len(file.getvalue()) <= MOST_RENDER_BYTES else b""


def decode_render(data: bytes) -> np.ndarray:
    """Return the render that ``encode_render`` encoded. Raises StyleError for anything else: files are not trusted."""
    try:
        with Image.open(io.BytesIO(data[: MOST_RENDER_BYTES + 1]), formats=["PNG"]) as image:
            if image.mode != "RGB" or image.width * image.height > MAX_PIXELS:
                raise ValueError("it is not a render")
            return np.asarray(image).astype(np.float32) / np.float32(255)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise StyleError(
            _("The render that is kept with the layer is damaged; change the number of iterations to make a new one.")
        ) from error


def mix_render(picture: Picture, render: np.ndarray, blend: BlendSettings) -> MixResult:
    """Mix the picture with a render of it, RGB [h, w, 3] of any size, as ``blend`` says."""
    return MixResult(composite(picture, resample_picture(render, picture.height, picture.width), blend))
