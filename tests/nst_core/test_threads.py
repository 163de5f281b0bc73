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
    ("module", "own", "spin_count"),
    [
        ("nst_core.devices", {}, "1000"),
        ("plugin.engine.service", {}, "1000"),
        ("benchmarks.measuring.machine", {}, "1000"),
        ("nst_core.devices", {"GOMP_SPINCOUNT": "7"}, "7"),
        ("nst_core.devices", {"OMP_WAIT_POLICY": "passive"}, "0"),
    ],
)
def test_openmp_threads_wait_for_microseconds_unless_the_user_says_otherwise(module, own, spin_count):
    """OpenMP prints its variables when it is loaded."""
    variables = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    variables |= {"OMP_DISPLAY_ENV": "verbose", "PYTHONPATH": str(ROOT)} | own
    command = [sys.executable, "-c", f"import {module}, torch"]
    printed = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stderr
    assert f"GOMP_SPINCOUNT = '{spin_count}'" in printed
