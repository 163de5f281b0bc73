"""The interface between what reads frames, paints them and writes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import numpy as np

from plugin.engine.imaging.picture import Picture

if TYPE_CHECKING:
    from plugin.engine.film.clip_reading import Clip


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame, when it is shown, and for how long, in seconds."""

    picture: Picture
    time: Fraction
    duration: Fraction


class FrameSource(Protocol):
    """Frames that are read one after another.

    ``clip`` is what is known of them before, and ``damaged`` counts those that could not be read.
    """

    clip: Clip
    damaged: int

    @property
    def count(self) -> int:
        """How many frames there are; an estimate for some films, 0 if it is not known."""

    def frames(self, first: int = 0) -> Iterator[Frame]:
        """Yield the frames from number ``first`` on."""


class FrameSink(Protocol):
    """A place for painted frames."""

    @property
    def painted(self) -> int:
        """How many frames from the first on were there before this run."""

    def write(self, frame: Frame, pixels: np.ndarray) -> None:
        """Add the painting of the next frame, float32 [H, W, 4]."""

    def finish(self) -> None:
        """Write the result, whole or not at all. All frames are painted."""
