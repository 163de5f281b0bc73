"""How a long operation speaks to its host: one callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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
    """

    stage: str
    fraction: float
    iteration: int = 0
    iterations: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    preview: np.ndarray | None = None
    part: int = 0


ProgressCallback = Callable[[Progress], bool]
"""Returns False to stop: an iterative render then keeps what there is."""


def ignore(progress: Progress) -> bool:
    """The callback of a caller that does not care."""
    return True
