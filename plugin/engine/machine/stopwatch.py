"""Measure the seconds of each stage of an operation."""

from __future__ import annotations

import time
from collections.abc import Mapping


class Stopwatch:
    """Measures one stage after another, from its creation or from ``began``, a time of ``time.perf_counter``."""

    def __init__(self, began: float | None = None) -> None:
        self._start = self._last = time.perf_counter() if began is None else began
        self._seconds: dict[str, float] = {}

    def lap(self, stage: str, *parts: Mapping[str, float]) -> None:
        """End ``stage`` now. Its ``parts``, the ``seconds`` of other stopwatches, count as separate stages."""
        now = time.perf_counter()
        self._add(stage, now - self._last)
        self._last = now
        for name, seconds in ((name, seconds) for part in parts for name, seconds in part.items() if name != "total"):
            self._add(name, seconds)
            self._add(stage, -seconds)

    def _add(self, stage: str, seconds: float) -> None:
        self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    @property
    def seconds(self) -> dict[str, float]:
        """The seconds of each stage, in order, and of the ``total``."""
        return self._seconds | {"total": self._last - self._start}
