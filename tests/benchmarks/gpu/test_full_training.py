import json

import pytest

pytest.importorskip("torch")

from benchmarks.gpu import gpu_command
from benchmarks.measuring.timing import Deadline
from nst_core.fast.training_checkpoint import load_training


class QuestionLimit:
    """A deadline that is reached once it has been asked for a number of times."""

    def __init__(self, questions):
        self._questions = questions

    def reached(self, seconds=0.0):
        self._questions -= 1
        return self._questions < 0

    def minutes_left(self):
        return None


def test_interrupted_training_continues(run, out, monkeypatch):
    # Before the first style and after each of its steps, before the second and after the first two of its steps.
    monkeypatch.setattr(gpu_command, "Deadline", lambda minutes: QuestionLimit(1 + 6 + 1 + 2 - 1))
    report, state = run("train")
    assert state["whole"] == {"train": False} and "| One | 6 | 2 |" in report and "| Two | 2 of 6 | 2 |" in report
    one = out / "styles/one.checkpoint"
    first_bytes, seconds = one.read_bytes(), json.loads((out / "styles/two.json").read_text())["seconds"]
    assert load_training(out / "styles/two.checkpoint").step == 2
    monkeypatch.setattr(gpu_command, "Deadline", Deadline)
    report, state = run("train")
    assert state["whole"] == {"train": True} and "| Two | 6 | 2 |" in report
    assert one.read_bytes() == first_bytes and json.loads((out / "styles/two.json").read_text())["seconds"] > seconds
    # Nothing is left that only a training needs.
    for name in ("one", "two"):
        checkpoint = load_training(out / f"styles/{name}.checkpoint")
        assert checkpoint.step == 6 and not checkpoint.optimizer
        assert (checkpoint.started_from, checkpoint.earlier_steps) == (name, 7)
        assert checkpoint.settings.mixed_precision and checkpoint.settings.batch == 2
        steps = [row.split(",")[0] for row in (out / f"styles/{name}.losses.csv").read_text().splitlines()[1:]]
        assert steps == list("123456") and (out / f"styles/{name}.preview.jpg").exists()
