import sys
import time

import numpy as np
import pytest
from onnx import helper, numpy_helper

from nst_core.base.errors import StyleError
from nst_core.style_file import read_styles
from plugin.engine.fast import style_trial
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.fast.style_trial import try_style
from plugin.engine.imaging.picture import Picture
from tests.style_files import negative_style, style_with_metadata

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these limits")


def paint(style):
    return paint_fast(Picture(np.zeros((20, 24, 4), np.float32)), {style: 1.0}, FastSettings(device="cpu"))


def greedy_style(path, nodes, sizes):
    """Write a style file whose nodes make "mean" from the constants "one" and "size"."""
    model = negative_style()
    del model.graph.node[:]
    model.graph.node.extend([*nodes, helper.make_node("Add", ["image", "mean"], ["styled"])])
    model.graph.initializer.append(numpy_helper.from_array(np.array(sizes, np.int64), "size"))
    path.write_bytes(model.SerializeToString())
    return read_styles(path)[0]


def test_style_that_takes_all_memory_is_refused(tmp_path):
    """It would expand one number to 8 GB."""
    nodes = [
        helper.make_node("Expand", ["one", "size"], ["large"]),
        helper.make_node("ReduceMean", ["large"], ["mean"], keepdims=0),
    ]
    style = greedy_style(tmp_path / "x.onnx", nodes, [2_000_000_000])
    with pytest.raises(StyleError, match="far more memory or time"):
        paint(style)


def test_style_that_takes_all_time_is_refused(tmp_path, monkeypatch):
    """It would multiply matrices of 4000x4000 numbers a thousand times."""
    monkeypatch.setattr(style_trial, "TIME_LIMIT", 1)
    nodes = [helper.make_node("Expand", ["one", "size"], ["power 0"])]
    nodes += [
        helper.make_node("MatMul", [f"power {number}", "power 0"], [f"power {number + 1}"]) for number in range(1000)
    ]
    nodes.append(helper.make_node("ReduceMean", ["power 1000"], ["mean"], keepdims=0))
    style = greedy_style(tmp_path / "x.onnx", nodes, [4000, 4000])
    start = time.monotonic()
    with pytest.raises(StyleError, match="far more memory or time"):
        paint(style)
    assert time.monotonic() - start < 60


@pytest.fixture
def trials(monkeypatch):
    """The trials that were run."""
    arguments = []
    run = style_trial.subprocess.run
    monkeypatch.setattr(
        style_trial.subprocess, "run", lambda *args, **named: arguments.append(args) or run(*args, **named)
    )
    return arguments


def test_own_style_is_tried_once_and_bundled_ones_never(tmp_path, monkeypatch, trials):
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(tmp_path / "home"))  # remembers no earlier trial of the same style
    style_with_metadata(tmp_path / "x.onnx")
    (style,) = read_styles(tmp_path / "x.onnx")
    (bundled,) = find_styles("great-wave")
    for each in (style, style, bundled):
        assert np.isfinite(paint(each).pixels).all()
    assert len(trials) == 1


def test_style_that_passed_is_not_tried_again_by_the_next_process(tmp_path, monkeypatch, trials):
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(tmp_path / "home"))
    (tmp_path / "home/environment").mkdir(parents=True)
    path = tmp_path / "x.onnx"
    for title, count in (("One", 1), ("One", 1), ("Another", 2)):
        style_with_metadata(path, {"title": title})
        try_style.cache_clear()  # as in a new process
        try_style(path, 0, (64, 64), 1)
        assert len(trials) == count


def test_refused_style_is_tried_again(tmp_path, monkeypatch, trials):
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(tmp_path / "home"))
    (tmp_path / "home/environment").mkdir(parents=True)
    nodes = [
        helper.make_node("Expand", ["one", "size"], ["large"]),
        helper.make_node("ReduceMean", ["large"], ["mean"], keepdims=0),
    ]
    style = greedy_style(tmp_path / "x.onnx", nodes, [2_000_000_000])
    for count in (1, 2):
        with pytest.raises(StyleError, match="far more memory or time"):
            paint(style)
        assert len(trials) == count


def test_trial_that_does_not_start_refuses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(style_trial, "python_executable", lambda: str(tmp_path / "missing"))
    try_style(tmp_path / "x.onnx", 0, (64, 64), 1)
