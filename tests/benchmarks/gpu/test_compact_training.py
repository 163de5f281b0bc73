import json
from dataclasses import replace

import pytest

pytest.importorskip("torch")

from benchmarks import compact
from benchmarks.gpu import compact_training
from nst_core.base.training_settings import DistillSettings
from nst_core.distill.student import CONV_LAYERS, new_student, save_compact
from nst_core.features import catalogue

STAGE = DistillSettings(channels=(4, 4, 6, 6, 8), steps=3, batch=4, crop=64, rendered=0)


def test_compact_is_trained_in_stages_and_judged(run, out, tmp_path, monkeypatch):
    stages = (STAGE, replace(STAGE, first_layer="relu4_1", rendered=1, steps=2))
    monkeypatch.setattr(compact_training, "STAGES", stages)
    monkeypatch.setattr(compact, "TIMED_SIZE", 64)
    monkeypatch.setattr(compact, "MEASURED_ITERATIONS", 1)
    # The bundled network has the scale of another teacher.
    small = new_student(STAGE, dict.fromkeys(CONV_LAYERS, 12))
    save_compact(small, tmp_path / "compact.safetensors", {})
    monkeypatch.setattr(catalogue, "COMPACT", tmp_path / "compact.safetensors")
    report, state = run("compact")
    assert state["whole"] == {"compact": True}
    records = json.loads((out / "compact/stages.json").read_text())
    assert [(record["steps"], record["done"]) for record in records] == [(3, True), (2, True)]
    assert "| bundled |" in report and "| new |" in report and "| 64 | 4 + 1 | 2 |" in report
    judged = json.loads((out / "compact/new/compact.json").read_text())
    assert judged["network"] == "stage-2" and 0 < judged["time_ratio"] < 1
    assert (out / "compact/new/wave.png").exists()
    assert [r["painting"] for r in judged["renders"]] == ["The Starry Night", "The Great Wave"]
