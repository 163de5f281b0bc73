import pytest

pytest.importorskip("torch")

import torch

from benchmarks.iterative.iterative_report import race_table
from benchmarks.iterative.race import Curve, standings, time_to
from benchmarks.measuring.timing import CLOCKS
from nst_core.iterative.render import IterativeProgress


def curve(seconds, losses):
    return {"optimizers": ["lbfgs"], "iterations": [0, 5, 10], "seconds": seconds, "losses": losses}


def test_time_to_a_loss_is_interpolated_between_points():
    points = curve([0.0, 2.0, 4.0], [5.0, 3.0, 3.5])
    assert time_to(points, 4.5) == pytest.approx(0.5)
    assert time_to(points, 3.0) == 2.0
    assert time_to(points, 5.0) == 0.0
    assert time_to(points, 2.9) is None


def test_standings_compare_with_classic_and_plain_lbfgs():
    curves = {
        "classic L-BFGS": curve([0.0, 5.0, 10.0], [11.0, 3.0, 1.0]),
        "plain L-BFGS": curve([0.0, 2.0, 8.0], [11.0, 2.5, 1.6]),
        "other": curve([0.0, 1.0, 2.0], [11.0, 2.0, 1.5]),
    }
    classic, plain, other = standings(curves)
    assert classic["share_of_drop"] == 1 and classic["time_to_same"] == 1 and plain["time_to_plain"] == 1
    # Nine tenths of the drop of ten leave a loss of 2.
    assert classic["time_to_most"] == pytest.approx(0.75) and other["time_to_most"] == pytest.approx(0.1)
    assert other["time_to_same"] is None and other["share_of_drop"] == pytest.approx(0.95)
    assert other["time_to_plain"] == pytest.approx(1.8 / 8)
    assert "| other | L-BFGS | 10 | 200 | 1.500 | 95.0% | never | 0.225 | 0.100 |" in race_table([other])


def test_clock_stops_while_a_loss_is_computed(monkeypatch):
    time = [0.0]
    monkeypatch.setitem(CLOCKS, "wall", lambda: time[0])

    def loss(image):
        time[0] += 100
        return float(image)

    noted = Curve(loss, "wall", torch.device("cpu"), every=2)
    noted.start(torch.tensor(9.0))
    for iteration in range(1, 6):
        time[0] += 1
        assert noted.add(IterativeProgress(iteration, 5, {}, torch.tensor(9.0 - iteration)))
    assert (noted.iterations, noted.seconds, noted.losses) == ([0, 2, 4, 5], [0, 2, 4, 5], [9, 7, 5, 4])
