import json

import pytest

pytest.importorskip("torch")

from PIL import Image

from benchmarks.gpu.style_comparison import SHEET_SIDE
from export.from_onnx import read_starting_network


def test_trained_style_is_compared_with_the_bundled_one(run, out):
    parts = ("pace", "train", "new-style", "compare")
    report, state = run(",".join(parts), ["one"])
    assert state["whole"] == dict.fromkeys(parts, True) and not state["failed"]
    assert read_starting_network(out / "styles/one.onnx").steps == 7 + 6
    assert Image.open(out / "compare/one.jpg").size[0] == 3 * SHEET_SIDE
    compared = json.loads((out / "compare.json").read_text())["one"]
    assert compared["photos"] == 2 and compared["new"]["objective"] < compared["bundled"]["objective"]
    (new,) = json.loads((out / "new-style.json").read_text())
    assert (new["name"], new["started_from"], new["full_steps"]) == ("two", "one", 7)
    assert new["last_objective"] < new["first_objective"] == new["curve"]["losses"][0]
    paces = json.loads((out / "pace.json").read_text())
    assert [pace["batch"] for pace in paces] == [1, 2] and all(pace["seconds"] > 0 for pace in paces)
    # A second run repeats nothing.
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.*") if not path.name.startswith("gpu")}
    assert run(",".join(parts), ["one"])[0] == report
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*.*") if not path.name.startswith("gpu")}
