"""ONNX Runtime sends nothing about the user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "module", ["plugin.engine.fast.fast_painting", "export.to_onnx", "benchmarks.inference.inference_command"]
)
def test_telemetry_is_off(tmp_path, module):
    variables = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    variables |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", f"import {module}"], env=variables, check=True)
    assert [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name] == []
