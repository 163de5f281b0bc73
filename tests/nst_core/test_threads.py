"""How PyTorch's threads wait for each other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere PyTorch comes with another OpenMP")
@pytest.mark.parametrize(
    ("module", "own", "heard"),
    [
        ("nst_core.devices", {}, "1000"),
        ("plugin.engine.service", {}, "1000"),
        ("benchmarks.yardstick", {}, "1000"),
        ("nst_core.devices", {"GOMP_SPINCOUNT": "7"}, "7"),
        ("nst_core.devices", {"OMP_WAIT_POLICY": "passive"}, "0"),
    ],
)
def test_openmp_hears_how_long_to_look_for_work(module, own, heard):
    """From us, unless the user has said it: OpenMP itself tells what it heard, when it is loaded."""
    variables = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    variables |= {"OMP_DISPLAY_ENV": "verbose", "PYTHONPATH": str(ROOT)} | own
    command = [sys.executable, "-c", f"import {module}, torch"]
    said = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stderr
    assert f"GOMP_SPINCOUNT = '{heard}'" in said
