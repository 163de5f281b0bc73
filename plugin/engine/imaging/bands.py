"""Process large pictures in bands of rows, on all CPU cores: NumPy lets other threads run while it computes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

# Small enough to stay in a core's cache from one operation to the next, which is several times faster, and large
# enough to hide the overhead of the calls.
BAND_PIXELS = 2**18
T = TypeVar("T")
R = TypeVar("R")


def bands(height: int, width: int) -> Iterator[slice]:
    """Split the rows of a picture into slices of about BAND_PIXELS pixels."""
    rows = max(1, BAND_PIXELS // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def in_threads(work: Callable[[T], R], parts: Iterable[T]) -> list[R]:
    """Call ``work`` with each part, on as many threads as there are cores. Return the results in order."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(work, parts))
