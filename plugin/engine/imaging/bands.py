"""Large pictures in parts, on all processors: NumPy lets other threads run while it computes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

# Few enough to stay in a processor's cache from one operation to the next, which is several times faster, and so many
# that the calls themselves do not count.
BAND_PIXELS = 2**18
T = TypeVar("T")
R = TypeVar("R")


def bands(height: int, width: int) -> Iterator[slice]:
    """Rows that together make a picture, a few at a time."""
    rows = max(1, BAND_PIXELS // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def in_threads(work: Callable[[T], R], parts: Iterable[T]) -> list[R]:
    """Call ``work`` with each part, with as many at once as there are processors. Returns what the calls return."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(work, parts))
