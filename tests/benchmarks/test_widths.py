import pytest

pytest.importorskip("torch")

import torch

from benchmarks import widths
from benchmarks.inference.compared_networks import CLASSIC_SHAPE
from benchmarks.measuring.command import TimingSettings
from nst_core.base.training_settings import TransformerSettings


def test_shapes_are_parsed():
    assert widths.parse_shape("24/9") == TransformerSettings(24, end_kernel=9)
    options = widths.parse(["assets", "out", "--shapes", "8/5,32/9"])
    assert options.shapes == (TransformerSettings(8, end_kernel=5), CLASSIC_SHAPE)


def test_times_are_relative_to_the_classic_network():
    """Turn by turn, so noise that slows both down in a turn does not count."""
    options = widths.parse(["assets", "out", "--steps", "7"])
    timing = TimingSettings(torch.device("cpu"), sizes=(1024,), turns=3, threads=1, clock="wall", matrix=64)
    narrow = widths.Candidate(TransformerSettings(8), 2.5, (1.0, 4.0, 1.5), 500_000)
    classic = widths.Candidate(CLASSIC_SHAPE, 2.0, (4.0, 16.0, 6.0), 6_700_000)
    report = widths.widths_report([narrow, classic], options, timing, "a machine")
    assert "| 8 | 5x5 | 2.500 | 1.50 s | 0.25 | 0.5 MB |" in report
    assert "| 32 | 9x9 | 2.000 | 6.00 s | 1.00 | 6.7 MB |" in report
    assert "7 training steps" in report and "a machine" in report
    narrow_report = widths.widths_report([narrow], options, timing, "a machine")
    assert "| 8 | 5x5 | 2.500 | 1.50 s |  | 0.5 MB |" in narrow_report


def test_missing_photos_give_one_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        widths.main([str(tmp_path), str(tmp_path / "out"), "--steps", "1"])
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("widths: ")
