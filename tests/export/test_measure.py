import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.measure import MEMORY_ALLOWANCE, measure
from nst_core.base.errors import StyleError


def style(*nodes, weights=()):
    """Chain nodes (kind, inputs, attributes) to a style's graph; each takes the previous one's output first."""
    made, name = [], "image"
    for number, (kind, inputs, attributes) in enumerate(nodes, 1):
        output = "styled" if number == len(nodes) else f"x{number}"
        made.append(helper.make_node(kind, [name, *inputs], [output], **attributes))
        name = output
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, "h", "w"]) for n in ("image", "styled")]
    used = {key for _, inputs, _ in nodes for key in inputs}
    tensors = [numpy_helper.from_array(value, key) for key, value in weights if key in used]
    graph = helper.make_graph(made, "style", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def kernel(name, *shape):
    return name, np.random.default_rng(0).uniform(0.1, 1, shape).astype(np.float32)


HALF = ("Conv", ["down"], {"strides": [2, 2], "pads": [1, 1, 1, 1]})
TWICE = ("ConvTranspose", ["up"], {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]})
NEAREST = (
    "Resize",
    ["", "factors"],
    {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
)
LINEAR = ("Resize", ["", "factors"], {"mode": "linear"})
WIDE = ("Conv", ["wide"], {"pads": [4, 4, 4, 4], "dilations": [2, 2]})
WEIGHTS = [
    kernel("down", 3, 3, 3, 3),
    kernel("up", 3, 3, 3, 3),
    kernel("wide", 3, 3, 5, 5),
    ("factors", np.array([1, 1, 2, 2], np.float32)),
]


@pytest.mark.parametrize(
    "nodes",
    [[WIDE], [HALF, NEAREST], [HALF, LINEAR], [HALF, TWICE], [WIDE, HALF, HALF, WIDE, TWICE, NEAREST, WIDE]],
    ids=["dilated", "nearest", "linear", "transposed", "all"],
)
def test_receptive_radius_bounds_how_far_a_pixel_reaches(nodes):
    model = style(*nodes, weights=WEIGHTS)
    radius, session, side = measure(model).receptive_radius, ort.InferenceSession(model.SerializeToString()), 160
    before = np.zeros((1, 3, side, side), np.float32)
    reached = 0
    for offset in range(4):  # wherever a pixel lies in a cell of four
        after, place = before.copy(), side // 2 + offset
        after[..., place, place] = 1
        changed = np.nonzero(session.run(None, {"image": after})[0] != session.run(None, {"image": before})[0])
        reached = max(reached, *(np.abs(axis - place).max() for axis in changed[2:]))
    assert reached <= radius <= reached + 8


def test_minimum_size_is_the_least_that_runs():
    reflect = ("Pad", ["around"], {"mode": "reflect"})
    weights = [*WEIGHTS, ("around", np.array([0, 0, 6, 6, 0, 0, 6, 6], np.int64)), kernel("last", 3, 3, 13, 13)]
    model = style(reflect, ("Conv", ["last"], {}), weights=weights)
    assert measure(model).minimum_size == 7
    assert measure(model, multiple_of=4).minimum_size == 8


def test_network_for_large_pictures_only_is_refused():
    reflect = ("Pad", ["around"], {"mode": "reflect"})
    weights = [("around", np.array([0, 0, 70, 70, 0, 0, 70, 70], np.int64))]
    with pytest.raises(StyleError, match="64 pixels"):
        measure(style(reflect, weights=weights))


def test_memory_is_that_of_the_tensors_alive_at_once():
    """Three channels in, thirty between, three out: 132 bytes per pixel at the first node and at the last."""
    weights = [kernel("in", 30, 3, 1, 1), kernel("out", 3, 30, 1, 1)]
    relu = ("Relu", [], {})
    measured = measure(style(("Conv", ["in"], {}), ("Conv", ["out"], {}), weights=weights)).bytes_per_pixel
    assert measured == pytest.approx(MEMORY_ALLOWANCE * 4 * 33, rel=0.02)
    measured = measure(style(("Conv", ["in"], {}), relu, ("Conv", ["out"], {}), weights=weights)).bytes_per_pixel
    assert measured == pytest.approx(MEMORY_ALLOWANCE * 4 * 60, rel=0.02)
