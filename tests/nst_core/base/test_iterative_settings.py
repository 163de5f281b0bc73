import pytest

from nst_core.base.iterative_settings import IterativeSettings


def test_learning_rate_follows_its_schedule():
    rates = {
        name: [IterativeSettings(schedule=name, learning_rate=1.0).learning_rate_at(i, 6) for i in range(6)]
        for name in ("linear", "constant", "step")
    }
    assert rates["linear"] == pytest.approx([1, 5 / 6, 2 / 3, 1 / 2, 1 / 3, 1 / 6]) and rates["constant"] == [1] * 6
    assert rates["step"] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
