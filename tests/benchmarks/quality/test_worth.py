import math

import pytest

pytest.importorskip("torch")

from benchmarks.quality.quality_report import format_worth
from benchmarks.quality.worth import worth_in_iterations


def test_worth_is_interpolated_on_logarithmic_axes():
    iterations = (10, 25, 50, 100, 200)
    power_law = [7 * n**-0.5 for n in iterations]
    for n in (10.01, 17, 50, 60, 199):
        assert worth_in_iterations(7 * n**-0.5, iterations, power_law) == pytest.approx(n)


def test_worth_outside_the_measured_range_is_a_bound():
    iterations, objectives = (10, 25, 50), (3.0, 2.0, 1.0)
    assert worth_in_iterations(3.1, iterations, objectives) == 0
    assert worth_in_iterations(0.9, iterations, objectives) == math.inf
    assert format_worth((0, 0, math.inf), iterations) == "<10 (<10 to >50)"
    assert format_worth((31.4, 0, 40), iterations) == "31 (<10 to 40)"


def test_worth_uses_the_best_picture_so_far():
    assert worth_in_iterations(1.5, (10, 20, 40, 80), (3.0, 1.0, 2.0, 0.5)) < 20
