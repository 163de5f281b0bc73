import json
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from benchmarks.iterative import iterative_command
from nst_core.base.iterative_settings import PLAIN_SETTINGS
from nst_core.base.presets import PRESETS
from nst_core.base.recipes import Recipe


def test_command_writes_report_records_and_plot(slim_weights, samples, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(PRESETS, "default", Recipe(replace(PLAIN_SETTINGS, iterations=8)))
    arguments = ["--features", str(slim_weights), "--size", "64", "--sizes", "48", "--iterations", "12"]
    arguments += ["--turns", "2", "--matrix", "64", "--threads", "1", "--device", "cpu"]
    arguments += ["--painting", str(samples / "chelsea.jpg")]
    iterative_command.main([str(tmp_path / "out"), *arguments])
    report = (tmp_path / "out" / "iterative.md").read_text()
    assert report.strip() == capsys.readouterr().out.strip()
    results = json.loads((tmp_path / "out" / "iterative.json").read_text())
    methods = ["classic L-BFGS", "plain L-BFGS", "default", "compact"]
    assert [r["way"] for r in results["race"]] == methods
    assert [r["way"] for r in results["costs"]] == [*methods, "VGG-19's shape"]
    for record, goal in zip(results["race"], ("time_to_same", "time_to_plain"), strict=False):
        assert record["iterations"] == 12 and record["loss"] < results["photo"] and record[goal] <= 1
    assert "</svg>" in (tmp_path / "out" / "iterative.svg").read_text()
    assert results["judge"] == slim_weights.stem and results["judge"] in report
    for record in results["costs"]:
        assert record["seconds"] > 0 and record["by_floor"] > 0 and record["mib"] > 0
        assert f"| {record['size']} | {record['way']} |" in report


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--photo", "no-such-photo.jpg"], "no-such-photo.jpg"),
        (["--features", "no-such-features"], "no-such-features"),
    ],
)
def test_missing_files_give_one_sentence(arguments, sentence, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        iterative_command.main([str(tmp_path), "--device", "cpu", *arguments])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and error.count("\n") == 1 and sentence in error
