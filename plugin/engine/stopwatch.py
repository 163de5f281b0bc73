"""Seconds by stage."""

from __future__ import annotations

import time


class Stopwatch:
    """Measures one stage after another from its own making."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """End ``stage`` now."""
        now = time.perf_counter()
        self._seconds[stage], self._last = now - self._last, now

    @property
    def seconds(self) -> dict[str, float]:
        """The stages in order, and ``total``."""
        return self._seconds | {"total": self._last - self._start}
