import csv
import inspect

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from dataclasses import replace  # noqa: E402

from nst_core.base.errors import StyleError  # noqa: E402
from nst_core.studies import experiments as studies  # noqa: E402
from plugin.cli.study_kinds import KINDS, run_study  # noqa: E402
from plugin.engine.machine import memory  # noqa: E402


@pytest.fixture
def run(samples, slim_weights, tmp_path):
    """Runs a study of small pictures into the folder ``found``."""

    def go(name, **changes):
        settings = replace(replace(KINDS[name].defaults, size=64, iterations=2), **changes)
        style = samples / "coffee.jpg" if KINDS[name].two_pictures else None
        place = {"features": str(slim_weights), "pooling": "max", "device": "cpu"}
        return run_study(
            name,
            samples / "chelsea.jpg",
            style,
            tmp_path / "found",
            settings,
            lambda step: None,
            lambda *stage: None,
            **place,
        )

    return go


def test_every_study_has_a_name():
    public = {
        name for name, value in inspect.getmembers(studies, inspect.isfunction) if value.__module__ == studies.__name__
    }
    assert {name for name in public if not name.startswith("_")} == {name.replace("-", "_") for name in KINDS}


@pytest.mark.parametrize("name", KINDS)
def test_every_study_leaves_its_files(run, tmp_path, name):
    report = run(name)
    files = sorted(path.name for path in (tmp_path / "found").iterdir())
    assert sorted(report["files"]) == [str(tmp_path / "found" / file) for file in files]
    assert {f"{name}.png", f"{name}.csv"} <= set(files)
    assert (
        (f"{name}-losses.csv" in files) == (f"{name}-losses.png" in files) == (name not in ("feature-maps", "weights"))
    )
    with (tmp_path / "found" / f"{name}.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(report["results"]) > 1
    assert report["feature_network"] == "slim"


def test_bad_input_is_told_before_the_work(run, samples, tmp_path, monkeypatch):
    with pytest.raises(StyleError, match="The study weights compares a photo with a style picture"):
        place = {"features": "compact", "pooling": "max", "device": "cpu"}
        run_study("weights", samples / "chelsea.jpg", None, tmp_path, KINDS["weights"].defaults, print, print, **place)
    (tmp_path / "found").write_text("a file")
    with pytest.raises(StyleError, match="found is a file"):
        run("feature-maps")
    (tmp_path / "found").unlink()
    monkeypatch.setattr(memory, "available_memory", lambda: 300 * 2**20)
    with pytest.raises(StyleError, match="A render at this size"):
        run("pooling", size=2000)
    assert list(tmp_path.iterdir()) == []
