import re

import pytest

from benchmarks.filter import Choice, choices_table, runs_table, stages

LOG = """2026-11-21 23:10:00, GIMP 3.0.4, Python 3.13.5, linux
Seconds: start 9.000, total 9.000

2026-11-21 23:10:05, GIMP 3.0.4, Python 3.13.5, linux
Seconds: start 0.200, inference 0.500, write 0.050, total 0.750

"""


def numbers(row: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+\.\d\d", row)]


def test_stages_of_the_last_run_add_up_to_the_whole_call():
    seconds = stages(LOG, 0.8)
    assert seconds == {"GIMP": pytest.approx(0.05), "start": 0.2, "inference": 0.5, "write": 0.05, "whole call": 0.8}
    assert sum(seconds.values()) == pytest.approx(2 * 0.8)


def test_table_shows_the_first_run_and_the_median_later_run():
    def run(inference: float) -> dict[str, float]:
        return {"start": 0.25, "inference": inference, "whole call": 0.25 + inference}

    report = runs_table({"one way": [run(9), run(3), run(1), run(2)]}, {"one way": 1.5})
    rows = {line.split("|")[1].strip(): numbers(line) for line in report.splitlines()[2:]}
    assert rows["inference"] == [9, 2] and rows["whole call"] == [9.25, 2.25]
    assert rows["everything except inference"] == [0.25, 0.25] and rows["the network alone"] == [1.5]
    assert rows["limit: 1.3 times that + 0.5"] == [2.45]


def test_choices_are_shown_with_and_without_inference():
    inference = 0.125, 0.5
    choices = {
        "small": [Choice(0.25, 1.0, inference)],
        "large": [Choice(0.5, 2.0, inference), Choice(0.25, 4.0, inference), Choice(0.75, 3.0, (0.25, 0.75))],
    }
    rows = [numbers(line) for line in choices_table(choices).splitlines()[2:]]
    assert rows[0] == [0.25, 0.25, 0.12, 0.12, 1, 1, 0.38, 0.38]
    assert rows[1] == [0.5, 0.75, 0.38, 0.5, 3, 4, 2, 3.38]
