"""The settings of painting a film. Standard library only."""

from __future__ import annotations

import importlib.util
import math
import re
from dataclasses import dataclass
from pathlib import Path

from nst_core.base.errors import StyleError

STEADY_RANGE = (0.0, 100.0)
CRF_RANGE = (0, 63)
RATE_RANGE = (0.1, 240.0)
# Films that can be read, as their names end; FFmpeg reads more, but a name alone must tell a film from a picture.
FILM_SUFFIXES = frozenset(
    (
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
        *(".wmv", ".flv", ".3gp", ".ogv", ".vob"),
    )
)
# Films that can be written, and FFmpeg's encoder for each unless the user names another.
ENCODERS = {".mp4": "libx264", ".m4v": "libx264", ".mov": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9"}

# Animations by their endings, with Pillow's names of the formats.
ANIMATION_FORMATS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG", ".apng": "PNG"}
PICTURE_NUMBER = re.compile(r"%0?\d*d")


@dataclass(frozen=True)
class FilmSettings:
    """How a film is painted and encoded. Raises StyleError for a value out of range.

    Attributes:
        steady: how firmly strokes keep to what they are painted on, in percent; 0 paints each frame by itself.
        crf: the encoder's constant rate factor: lower is better and larger. H.264's scale ends at 51.
        encoder: FFmpeg's name of a video encoder, "" for the usual one of the output's format.
        start, end: the part of the film to paint, in seconds; ``end`` is infinite for all that follows.
        rate: frames a second of numbered pictures, which have no times of their own.
    """

    steady: float = 100.0
    crf: int = 18
    encoder: str = ""
    start: float = 0.0
    end: float = math.inf
    rate: float = 25.0

    def __post_init__(self) -> None:
        for name, value, (low, high) in (
            ("steadiness", self.steady, STEADY_RANGE),
            ("rate factor", self.crf, CRF_RANGE),
            ("frame rate", self.rate, RATE_RANGE),
        ):
            if not low <= value <= high:
                raise StyleError(f"The {name} is {value:g}; give a number from {low:g} to {high:g}.")
        if not 0 <= self.start < self.end:
            raise StyleError(
                f"The part from {self.start:g} s to {self.end:g} s has no frames; give an end after the start."
            )

    @property
    def whole(self) -> bool:
        """Whether the whole film is painted."""
        return self.start == 0 and self.end == math.inf


def is_numbered(path: Path) -> bool:
    """Return whether a name stands for numbered pictures, as in ``frames/%04d.png``."""
    return len(PICTURE_NUMBER.findall(path.name)) == 1


def require_packages(settings: FilmSettings, with_av: bool = True) -> None:
    """Raise StyleError, saying what to install, if a package is missing that painting a film takes."""
    if with_av and importlib.util.find_spec("av") is None:
        raise StyleError("Films need PyAV, which is not installed; install it with `pip install av`.")
    if settings.steady and importlib.util.find_spec("cv2") is None:
        raise StyleError(
            "Steady strokes need OpenCV, which is not installed; install it with "
            "`pip install 'opencv-python-headless<5'`, or paint each frame by itself with --steady 0."
        )
