"""The times in the filter's log."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.filter import timed_runs
from tests.host.checks import noise_pixels


def test_logged_stage_times_add_up_to_the_whole_call(session, variables):
    log = Path(variables["GIMP3_DIRECTORY"], "neural-style.log")
    for run in timed_runs(session, log, noise_pixels(), 1, {}):
        whole = run.pop("whole call")
        assert {"GIMP", "start", "read", "prepare", "load", "inference", "composite", "write"} <= run.keys()
        assert min(run.values()) > -0.002  # the log rounds to milliseconds
        assert sum(run.values()) == pytest.approx(whole, abs=0.01)
        assert run["start"] > 0.01 < run["GIMP"]
