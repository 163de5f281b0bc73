import sys
import time

import numpy as np
import pytest

resource = pytest.importorskip("resource")
from onnx import helper, numpy_helper

from nst_core.base.errors import StyleError
from nst_core.style_file import read_styles
from plugin.engine.fast import style_trial
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.fast.style_trial import try_style
from plugin.engine.imaging.picture import Picture
from plugin.engine.machine import memory
from tests.style_files import negative_style, style_with_metadata

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these limits")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home where no style has passed."""
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(tmp_path / "home"))
    try_style.cache_clear()


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
    run = style_trial._trial
    monkeypatch.setattr(style_trial, "_trial", lambda *given: arguments.append(given) or run(*given))
    return arguments


@pytest.mark.parametrize("sizes", [[2_000_000_000], [7000, 7000]])
def test_style_is_watched_where_limits_do_not_hold(tmp_path, monkeypatch, sizes):
    """As on macOS and Windows: one takes all memory, the other all time."""
    monkeypatch.setattr(style_trial, "LIMITS_HOLD", False)
    monkeypatch.setattr(style_trial, "TIME_LIMIT", 2)
    nodes = [helper.make_node("Expand", ["one", "size"], ["large"])]
    if len(sizes) == 2:
        nodes.append(helper.make_node("MatMul", ["large", "large"], ["product"]))
    nodes.append(helper.make_node("ReduceMean", [nodes[-1].output[0]], ["mean"], keepdims=0))
    style = greedy_style(tmp_path / "x.onnx", nodes, sizes)
    with pytest.raises(StyleError, match="far more memory or time"):
        paint(style)


def test_own_style_is_tried_once_and_bundled_ones_never(tmp_path, trials):
    style_with_metadata(tmp_path / "x.onnx")
    (style,) = read_styles(tmp_path / "x.onnx")
    (bundled,) = find_styles("great-wave")
    for each in (style, style, bundled):
        assert np.isfinite(paint(each).pixels).all()
    assert len(trials) == 1


def test_style_that_passed_is_not_tried_again_by_the_next_process(tmp_path, monkeypatch, trials):
    (tmp_path / "home/environment").mkdir(parents=True)
    path = tmp_path / "x.onnx"
    for title, count in (("One", 1), ("One", 1), ("Another", 2)):
        style_with_metadata(path, {"title": title})
        try_style.cache_clear()  # as in a new process
        try_style(path, 0, (64, 64), 1)
        assert len(trials) == count


def test_refused_style_is_tried_again(tmp_path, monkeypatch, trials):
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


def test_style_that_takes_more_for_a_larger_picture_is_stopped(tmp_path, monkeypatch):
    """It compares every pixel with every other: 8 MB in the trial, and 3 GB in a picture of 160x176 pixels."""
    nodes = [
        helper.make_node("Reshape", ["image", "column"], ["pixels"]),
        helper.make_node("Transpose", ["pixels"], ["row"]),
        helper.make_node("MatMul", ["pixels", "row"], ["products"]),
        helper.make_node("ReduceMean", ["products"], ["mean"], keepdims=0),
    ]
    model = negative_style()
    del model.graph.node[:]
    first = helper.make_node("Slice", ["image", "zero", "first", "axis"], ["plane"])
    nodes[0].input[0] = "plane"
    model.graph.node.extend([first, *nodes, helper.make_node("Add", ["image", "mean"], ["styled"])])
    for name, values in {"column": [-1, 1], "zero": [0], "first": [1], "axis": [1]}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), name))
    path = tmp_path / "x.onnx"
    path.write_bytes(model.SerializeToString())
    (style,) = read_styles(path)
    assert np.isfinite(paint(style).pixels).all()
    before = resource.getrlimit(resource.RLIMIT_AS)
    monkeypatch.setattr(memory, "available_memory", lambda: 1 << 30)
    large = Picture(np.zeros((160, 176, 4), np.float32))
    with pytest.raises(StyleError, match="could not run the style"):
        paint_fast(large, {style: 1.0}, FastSettings(device="cpu"))
    assert resource.getrlimit(resource.RLIMIT_AS) == before
