import json
from dataclasses import replace

import onnxruntime
import pytest

pytest.importorskip("torch")

from benchmarks.inference import compared_networks, inference_command
from benchmarks.inference.backends import PYTORCH


def test_command_writes_report_and_records(tiny_style, tmp_path, capsys, monkeypatch):
    small = replace(compared_networks.CLASSIC_SHAPE, width=8, residual_blocks=1)
    monkeypatch.setattr(compared_networks, "CLASSIC_SHAPE", small)
    arguments = ["--style", str(tiny_style), "--sizes", "32,64", "--turns", "2", "--matrix", "64", "--threads", "1"]
    inference_command.main([str(tmp_path / "out"), *arguments, "--device", "cpu"])
    report = (tmp_path / "out" / "inference.md").read_text()
    assert report.strip() == capsys.readouterr().out.strip()
    results = json.loads((tmp_path / "out" / "inference.json").read_text())
    assert len(results["records"]) == 2 * 2 * 2 and len(results["ratios"]) == 2 * 2
    for record in results["records"]:
        assert record["seconds"] > 0 and record["first_seconds"] > 0 and record["mib"] > 0
        assert 0 < record["share_of_matrix_rate"] <= record["share_of_floor"]
        assert f"| {record['size']}x{record['size']} | {record['runtime']} fp32 | {record['network']} |" in report
    assert onnxruntime.__version__ in report and "CUDA" not in report.split("placement")[-1]
    shown = [f"{r['ratio']:.3f}" for r in results["ratios"] if r["runtime"] == PYTORCH]
    assert f"| PyTorch fp32 | {' | '.join(shown)} |" in report


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--style", "no-such-style"], "no-such-style"),
        (["--clock", "cpu", "--threads", "2"], "--threads 1"),
    ],
)
def test_bad_options_give_one_sentence(arguments, sentence, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        inference_command.main([str(tmp_path), "--device", "cpu", *arguments])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and error.count("\n") == 1 and sentence in error
