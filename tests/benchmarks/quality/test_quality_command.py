from xml.etree import ElementTree

import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from benchmarks.quality import quality_command


def test_command_writes_report_and_plot(arguments, tmp_path, capsys):
    quality_command.main(arguments(photos=2))
    text = (tmp_path / "out/quality.md").read_text()
    assert text in capsys.readouterr().out
    assert "2 held-out photos of at most 64 pixels" in text and "| style | from | 2 | 6 |" in text
    rows = [line for line in text.splitlines() if line.startswith("| Small |")]
    assert len(rows) == 4  # worth, appearance, and the renders from noise and from the photo
    plot = ElementTree.parse(tmp_path / "out/quality.svg").getroot()
    assert plot.tag.endswith("svg")


def test_bad_input_gives_one_sentence(arguments, write_style, tmp_path, capsys):
    def error_of(given):
        with pytest.raises(SystemExit) as end:
            quality_command.main(given)
        assert end.value.code == 2
        return capsys.readouterr().err

    unknown = [argument for argument in arguments() if not argument.startswith("small=") and argument != "--painting"]
    assert "give it with --painting small=FILE" in error_of(unknown)
    odd = tmp_path / "odd.onnx"
    for wrong in ("layout", "[]", '{"objective": {"size": 3}, "style_size": 3}', '{"objective": {}}'):
        write_style(odd, "slim", wrong)
        assert "small does not say how it was trained" in error_of([*arguments(), "--style", str(odd)])
    write_style(odd, "another")
    assert "There is no feature network 'another'" in error_of([*arguments(), "--style", str(odd)])
    assert "invalid" in error_of([*arguments(), "--iterations", "0"])
    assert "invalid" in error_of([*arguments(), "--photos", "x"])
