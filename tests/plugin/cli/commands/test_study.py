"""``neural-style study`` in a process of its own."""

import pytest

from tests.plugin.command_line import json_report


def test_study_writes_its_sheet_and_table(run, sample, slim_weights):
    pytest.importorskip("matplotlib")
    chosen = ["--features", slim_weights, "--size", 64, "--steps", 2, "--content-layers", "relu1_1,conv2_1"]
    done = run("study", "content-reconstruction", sample, *chosen, "-o", "sheets")
    assert done.returncode == 0, done.stderr
    assert "4/4" in done.stderr and "sheets/content-reconstruction.png" in done.stdout
    assert (run.folder / "sheets/content-reconstruction.csv").read_text().count("\nconv2_1,2,") == 1
    maps = ["feature-maps", sample, "--style-image", sample, "--features", slim_weights, "--size", 64, "-o", "sheets"]
    assert json_report(run("study", *maps, "--json"))["study"] == "feature-maps"
