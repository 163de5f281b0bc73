import csv
from dataclasses import replace

import pytest

from nst_core.base.errors import StyleError
from nst_core.base.recipes import Recipe
from nst_core.studies.kinds import KINDS
from plugin.cli.main import main
from plugin.cli.picture_files import read_picture
from plugin.cli.study_files import check_study_folder, write_study
from plugin.engine.machine import memory

pytest.importorskip("torch")
pytest.importorskip("matplotlib")


@pytest.fixture
def run(samples, slim_weights):
    """Runs a study of small pictures."""

    from plugin.engine.iterative.study_run import StudyRequest, run_study

    def go(name, **changes):
        settings = replace(replace(KINDS[name].defaults, size=64, iterations=2), **changes)
        photo, style = (read_picture(samples / file).picture for file in ("chelsea.jpg", "coffee.jpg"))
        style = style if KINDS[name].two_pictures else None
        request = StudyRequest(name, photo, style, Recipe(settings, str(slim_weights)), "cpu")
        return run_study(request, lambda step: None, lambda *stage: None)

    return go


@pytest.mark.parametrize("name", KINDS)
def test_every_study_writes_its_files(run, tmp_path, name):
    result = run(name)
    written = write_study(name, result.findings, tmp_path / "sheets")
    files = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert sorted(written) == [tmp_path / "sheets" / file for file in files]
    assert {f"{name}.png", f"{name}.csv"} <= set(files)
    assert (
        (f"{name}-losses.csv" in files) == (f"{name}-losses.png" in files) == (name not in ("feature-maps", "weights"))
    )
    with (tmp_path / "sheets" / f"{name}.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(result.findings.rows) > 1
    assert result.feature_network == "slim"


def test_bad_input_is_refused_before_the_work(run, samples, tmp_path, monkeypatch, capsys):
    assert main(["study", "weights", str(samples / "chelsea.jpg"), "-o", str(tmp_path)]) == 2
    assert "The study weights compares a photo with a style picture" in capsys.readouterr().err
    (tmp_path / "file").write_text("a file")
    with pytest.raises(StyleError, match="file is a file"):
        check_study_folder(tmp_path / "file")
    (tmp_path / "file").unlink()
    monkeypatch.setattr(memory, "available_memory", lambda: 300 * 2**20)
    with pytest.raises(StyleError, match="A render at this size"):
        run("pooling", size=2000)
    assert list(tmp_path.iterdir()) == []
