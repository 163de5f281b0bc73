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
@pytest.mark.parametrize(("own", "heard"), [(None, "1000"), ("7", "7")])
def test_openmp_hears_how_long_to_look_for_work(own, heard):
    """From us, unless the user has said it: OpenMP itself tells what it heard, when it is loaded."""
    variables = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    variables |= {"OMP_DISPLAY_ENV": "verbose", "PYTHONPATH": str(ROOT)} | ({"GOMP_SPINCOUNT": own} if own else {})
    command = [sys.executable, "-c", "import nst_core, torch"]
    said = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stderr
    assert f"GOMP_SPINCOUNT = '{heard}'" in said
