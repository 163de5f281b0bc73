"""Make the graph that resizes planes with ONNX Runtime: plugin/engine/imaging/resampling.onnx.

``python -m export.resampling_graph`` writes that file again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

FILE = Path(__file__).parent.parent / "plugin" / "engine" / "imaging" / "resampling.onnx"
RESIZE_OPSET = 18  # the first whose Resize has antialiasing
# Resize attributes by name; the input "kernel" is an index into this. "reduce" and "cubic" widen their kernel where
# planes become smaller, as Pillow's do.
KERNELS: dict[str, dict[str, Any]] = {
    "linear": {"mode": "linear"},
    "reduce": {"mode": "linear", "antialias": 1, "exclude_outside": 1},
    "cubic": {"mode": "cubic", "antialias": 1, "exclude_outside": 1, "cubic_coeff_a": -0.5},
}


def make_resampling_graph() -> onnx.ModelProto:
    """Return the graph: it resizes "planes", float32 [1, C, h, w], to "shape", int64 [4], by the kernel "kernel"."""
    planes = helper.make_tensor_value_info("planes", TensorProto.FLOAT, [1, "channels", "height", "width"])
    shape = helper.make_tensor_value_info("shape", TensorProto.INT64, [4])
    kernel = helper.make_tensor_value_info("kernel", TensorProto.INT64, [])
    resized = helper.make_tensor_value_info("resized", TensorProto.FLOAT, [1, "channels", "new height", "new width"])
    *others, last = KERNELS
    nodes = [helper.make_node("Resize", ["planes", "", "", "shape"], [last], **KERNELS[last])]
    result = last
    for name in reversed(others):
        resize = [helper.make_node("Resize", ["planes", "", "", "shape"], [name], **KERNELS[name])]
        branches = {"then_branch": _branch(resize, name), "else_branch": _branch(nodes, result)}
        result = f"{name} or other" if name != others[0] else "resized"
        nodes = [
            helper.make_node("Constant", [], [f"number of {name}"], value_int=list(KERNELS).index(name)),
            helper.make_node("Equal", ["kernel", f"number of {name}"], [f"is {name}"]),
            helper.make_node("If", [f"is {name}"], [result], **branches),
        ]
    graph = helper.make_graph(nodes, "resampling", [planes, shape, kernel], [resized])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", RESIZE_OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def _branch(nodes: list[onnx.NodeProto], result: str) -> onnx.GraphProto:
    return helper.make_graph(nodes, result, [], [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)])


if __name__ == "__main__":
    FILE.write_bytes(make_resampling_graph().SerializeToString())
