import time

import pytest

from benchmarks.measuring.timing import median_ratio, time_in_turns


def test_calls_take_turns_and_the_first_turn_does_not_count():
    calls = []
    seconds = time_in_turns({name: lambda name=name: calls.append(name) for name in "ab"}, 3)
    assert calls == list("abababab") and {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3}


def test_cpu_clock_does_not_count_sleep():
    sleeping = {"sleep": lambda: time.sleep(0.05)}
    assert min(time_in_turns(sleeping, 2, "wall")["sleep"]) >= 0.05
    assert max(time_in_turns(sleeping, 2, "cpu")["sleep"]) < 0.04


def test_median_ratio_compares_turn_by_turn():
    # Noise during one turn changes neither its ratio nor the median.
    assert median_ratio([1.0, 10.0, 1.2], [4.0, 40.0, 4.0]) == pytest.approx(0.25)
    with pytest.raises(ValueError):
        median_ratio([1.0], [1.0, 2.0])
