import pytest

pytest.importorskip("torch")

from benchmarks import widths
from nst_core.base.training_settings import TransformerSettings


def test_shapes_are_read_as_they_are_written():
    assert widths.shape("24/9") == TransformerSettings(24, end_kernel=9)
    options = widths.parser().parse_args(["assets", "out", "--shapes", "8/5,32/9"])
    assert options.shapes == [TransformerSettings(8, end_kernel=5), widths.CLASSIC]


def test_times_are_told_by_those_of_the_classic_network():
    """Turn by turn, so that what slows both down in a turn does not count."""
    options = widths.parser().parse_args(["assets", "out", "--steps", "7"])
    options.sizes, options.turns = (1024,), 3
    narrow = widths.Candidate(TransformerSettings(8), 2.5, (1.0, 4.0, 1.5), 500_000)
    classic = widths.Candidate(widths.CLASSIC, 2.0, (4.0, 16.0, 6.0), 6_700_000)
    report = widths.text([narrow, classic], options, "a machine")
    assert "| 8 | 5x5 | 2.500 | 1.50 s | 0.25 | 0.5 MB |" in report
    assert "| 32 | 9x9 | 2.000 | 6.00 s | 1.00 | 6.7 MB |" in report
    assert "7 steps" in report and "a machine" in report
    assert "| 8 | 5x5 | 2.500 | 1.50 s |  | 0.5 MB |" in widths.text([narrow], options, "a machine")


def test_without_photos_it_is_one_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        widths.main([str(tmp_path), str(tmp_path / "out"), "--steps", "1"])
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("widths: ")
