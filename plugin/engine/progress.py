"""How a long operation speaks to its host, by one callback, and how the host ends it. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Progress:
    """Where an operation is.

    Attributes:
        stage: what is being done, a short phrase for people.
        fraction: 0..1 of the whole operation.
        iteration, iterations: of an iterative render, else 0.
        losses: weighted losses by name, of an iterative render.
        preview: RGB [h, w, 3] in 0..1 as it stands, of an iterative render.
        part: which of several pictures is being painted, from 0.
        shown: ``preview`` as a host shows it, which then comes in its place (see service.paint).
    """

    stage: str
    fraction: float
    iteration: int = 0
    iterations: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    preview: np.ndarray | None = None
    part: int = 0
    shown: bytes | None = None


ProgressCallback = Callable[[Progress], bool]
"""Returns False to stop: an iterative render then keeps what there is."""


def ignore(progress: Progress) -> bool:
    """The callback of a caller that does not care."""
    return True


class Stopped(Exception):
    """What was computed was given up, because a Stopper said so."""


class Stopper:
    """Ends, from any thread, what nobody waits for any more: a network's run within one of its layers."""

    def __init__(self) -> None:
        self.stopped = False
        self._ends: list[Callable[[], None]] = []

    def stop(self) -> None:
        """Give up what is being computed, or is about to be."""
        self.stopped = True
        for end in self._ends:
            end()

    def ends(self, end: Callable[[], None]) -> None:
        """Let ``stop`` call this too, which ends what would not ``check``. Raises Stopped if it was called before."""
        self._ends.append(end)
        self.check()

    def check(self) -> None:
        """Raise Stopped if ``stop`` was called."""
        if self.stopped:
            raise Stopped
