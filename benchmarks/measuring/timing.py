"""Time calls in turns, and watch a deadline."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


def time_in_turns(calls: Mapping[str, Callable[[], object]], turns: int, clock: str = "wall") -> dict[str, list[float]]:
    """Time each call ``turns`` times; return its seconds by name.

    Every turn runs all calls one after another, so noise affects them alike. An additional first turn does not count.
    """
    now = CLOCKS[clock]
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(turns + 1):
        for name, call in calls.items():
            start = now()
            call()
            if turn:
                seconds[name].append(now() - start)
    return seconds


def median_ratio(seconds: Sequence[float], others: Sequence[float]) -> float:
    """Return the median over the turns of ``seconds / others``. Raises ValueError if they differ in length."""
    return statistics.median(a / b for a, b in zip(seconds, others, strict=True))


class Deadline:
    """A moment some minutes from now, or never if ``minutes`` is None."""

    def __init__(self, minutes: float | None) -> None:
        self._end = math.inf if minutes is None else time.monotonic() + 60 * minutes

    def minutes_left(self) -> float | None:
        """Return the minutes left, 0 or more; None if there is no end."""
        return None if self._end == math.inf else max(0.0, self._end - time.monotonic()) / 60

    def reached(self, seconds: float = 0.0) -> bool:
        """Return whether at most ``seconds`` are left."""
        return time.monotonic() + seconds >= self._end
