"""Animations of how a picture develops."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from nst_core.base.errors import StyleError
from plugin.cli.outputs import write_file

ANIMATION_SUFFIXES = {".gif", ".mp4", ".webp"}
ANIMATION_SIDE = 512  # the largest side in pixels: an animation is for looking at, not for printing
FRAME_MS, LAST_FRAME_MS = 80, 2000


def check_av() -> None:
    """Raise StyleError, saying what to do, if films cannot be encoded."""
    if importlib.util.find_spec("av") is None:
        raise StyleError("An MP4 needs PyAV, which is not installed; install it with `pip install av`.")


def write_animation(frames: Sequence[np.ndarray], path: Path) -> None:
    """Write an endless GIF or WebP, or an MP4, that pauses on its last frame.

    ``frames`` are uint8 [h, w, 3]. All are scaled to the size of the last, which is reduced to ANIMATION_SIDE pixels if
    it is larger.
    """
    pictures = [Image.fromarray(frame) for frame in frames]
    pictures[-1].thumbnail((ANIMATION_SIDE, ANIMATION_SIDE))
    pictures = [picture.resize(pictures[-1].size, Image.Resampling.BICUBIC) for picture in pictures]
    encoded = io.BytesIO()
    if path.suffix.lower() == ".mp4":
        _encode_film(pictures, encoded)
    else:
        first, *others = pictures
        durations = [FRAME_MS] * len(others) + [LAST_FRAME_MS]
        kind = path.suffix[1:].upper()
        first.save(encoded, kind, save_all=True, append_images=others, duration=durations, loop=0, quality=85)
    write_file(path, encoded.getvalue())


def _encode_film(pictures: Sequence[Image.Image], file: io.BytesIO) -> None:
    """Encode H.264 in an MP4 with colours at half the resolution, which every browser and phone plays."""
    import av

    with av.open(file, "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=Fraction(1000, FRAME_MS))
        stream.pix_fmt = "yuv420p"
        stream.width, stream.height = (side // 2 * 2 for side in pictures[-1].size)  # H.264 needs even sides
        for picture in [*pictures, *[pictures[-1]] * (LAST_FRAME_MS // FRAME_MS - 1)]:
            frame = av.VideoFrame.from_image(picture.crop((0, 0, stream.width, stream.height)))
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
