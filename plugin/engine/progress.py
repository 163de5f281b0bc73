"""The progress of a long operation, and a way for a host to stop it. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Progress:
    """The state of an operation.

    Attributes:
        stage: what is being done, in a short phrase for people.
        fraction: 0..1 of the whole operation.
        iteration, iterations: of a render; else 0.
        losses: weighted losses by name, of a render.
        preview: the unfinished painting of a render, RGB [h, w, 3] in 0..1.
        part: which of several pictures is being painted, from 0.
        shown: ``preview`` in the form that a host shows, which then replaces it (see api.Engine.paint).
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
"""Returns False to stop. A render then keeps what it has painted so far."""


def ignore(progress: Progress) -> bool:
    """Ignore the progress, and continue."""
    return True


def part_of(progress: ProgressCallback, start: float, end: float) -> ProgressCallback:
    """Return a callback for one part of an operation, which takes the fractions ``start`` to ``end`` of the whole."""

    def report(at: Progress) -> bool:
        return progress(replace(at, fraction=start + (end - start) * at.fraction))

    return report


class StoppedError(Exception):
    """A Stopper stopped the operation, which has no result."""


class Stopper:
    """Stops an operation from any thread, even while a network runs."""

    def __init__(self) -> None:
        self.stopped = False
        self._actions: list[Callable[[], None]] = []

    def stop(self) -> None:
        """Stop the operation, whether it is running or about to begin."""
        self.stopped = True
        for action in tuple(self._actions):
            action()

    def on_stop(self, action: Callable[[], None]) -> None:
        """Have ``stop`` call this too, for operations that cannot ``check``. Raises StoppedError if it is too late."""
        self._actions.append(action)
        self.check()

    @contextmanager
    def during(self, action: Callable[[], None]) -> Iterator[None]:
        """Have ``stop`` call this too during the block. Raises StoppedError if it is too late."""
        self.on_stop(action)
        try:
            yield
        finally:
            self._actions.remove(action)

    def check(self) -> None:
        """Raise StoppedError if ``stop`` was called."""
        if self.stopped:
            raise StoppedError
