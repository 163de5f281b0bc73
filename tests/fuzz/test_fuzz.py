import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.fuzz.__main__ import BATCH, batches
from tests.fuzz.targets import TARGETS

CASES = 2000


@pytest.mark.slow
def test_no_hostile_input_gets_through(tmp_path):
    command = [sys.executable, "-m", "tests.fuzz", "--cases", str(CASES), "--failures", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0 and f"{CASES} cases in" in done.stdout and ", 0 failures" in done.stdout, done.stdout


def test_cases_are_split_by_shares():
    parts = batches(100_000, 0, list(TARGETS))
    assert sum(part.cases for part in parts) == 100_000 and max(part.cases for part in parts) == BATCH
    assert {part.target for part in parts} == set(TARGETS)
    assert len({part.seed for part in parts}) == len(parts)
