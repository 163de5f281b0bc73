"""Turn a training's budget in minutes into a number of steps."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

WARM_UP = 3  # steps that take longer than those that follow
MEASURED_SHARE = 0.05  # of the budget, spent before the steps that fit into it are counted


class StepBudget:
    """The steps that fit into ``seconds``, known once the first ones have been timed.

    ``earlier`` steps were taken before the budget began; the result includes them.
    """

    def __init__(self, seconds: float, earlier: int) -> None:
        self._seconds, self._earlier = seconds, earlier
        self._moments = [monotonic()]

    def after_step(self) -> int:
        """Note that a step has ended. Return the number of steps, or 0 while too few have been timed."""
        self._moments.append(monotonic())
        return steps_in_budget(self._seconds, self._moments, self._earlier)


def steps_in_budget(seconds: float, moments: Sequence[float], earlier: int = 0) -> int:
    """Return how many steps a budget allows, ``earlier`` ones included, or 0 while too few have been timed.

    ``moments``, in seconds, are when the first step began and when each one ended.
    """
    spent, timed = moments[-1] - moments[0], len(moments) - 1 - WARM_UP
    if timed < 1 or spent < MEASURED_SHARE * seconds:
        return 0
    pace = (moments[-1] - moments[WARM_UP]) / timed
    return earlier + len(moments) - 1 + max(0, int((seconds - spent) / pace))
