from dataclasses import replace

import pytest

pytest.importorskip("torch")

from benchmarks.inference import compared_networks
from nst_core.base.iterative_settings import PLAIN_SETTINGS
from nst_core.base.presets import PRESETS
from nst_core.base.recipes import Recipe


@pytest.mark.slow
def test_report_contains_the_other_benchmarks(run, monkeypatch):
    small = replace(compared_networks.CLASSIC_SHAPE, width=8, residual_blocks=1)
    monkeypatch.setattr(compared_networks, "CLASSIC_SHAPE", small)
    monkeypatch.setitem(PRESETS, "default", Recipe(replace(PLAIN_SETTINGS, iterations=8)))
    report, state = run("inference,iterative")
    assert state["whole"] == {"inference": True, "iterative": True}
    assert "| 64x64 | ONNX Runtime fp32 | ours |" in report and "At 64 pixels:" in report
    assert "| 64 | VGG-19's shape |" in report
