import time

import pytest

from plugin.engine.machine.stopwatch import Stopwatch


def test_stages_add_up_to_the_total():
    clock = Stopwatch(time.perf_counter() - 2)
    clock.lap("start")
    for _ in range(2):
        clock.lap("read")
        clock.lap("wait", {"load": 0.25, "inference": 1.0, "total": 1.25}, {"inference": 0.5})
    seconds = clock.seconds
    assert list(seconds) == ["start", "read", "wait", "load", "inference", "total"]
    assert seconds["start"] == pytest.approx(2, abs=0.5) and (seconds["load"], seconds["inference"]) == (0.5, 3.0)
    assert sum(seconds.values()) == pytest.approx(2 * seconds["total"])
