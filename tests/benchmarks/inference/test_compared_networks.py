import numpy as np
import onnx
import pytest

pytest.importorskip("torch")

import torch

from benchmarks.inference.backends import ONNX_RUNTIME, Backend, open_backend
from benchmarks.inference.compared_networks import write_half_precision
from benchmarks.measuring.costs import graph_cost


def test_half_precision_keeps_norms_and_last_convolution_in_float32(tiny_style, tmp_path):
    model = onnx.load(write_half_precision(tiny_style, tmp_path / "half.onnx"))
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    types = {value.name: value.type.tensor_type.elem_type for value in inferred}
    by_kind: dict[str, list[int]] = {}
    for node in model.graph.node:
        by_kind.setdefault(node.op_type, []).append(types.get(node.output[0]))
    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    assert by_kind["Conv"] == [half] * 7 + [single] and set(by_kind["InstanceNormalization"]) == {single}
    assert graph_cost(model, 64, 64) == graph_cost(onnx.load(tiny_style), 64, 64)
    backend, cpu = Backend(ONNX_RUNTIME, "fp32"), torch.device("cpu")
    paintings = [open_backend(backend, path, 48, cpu, 1)() for path in (tiny_style, tmp_path / "half.onnx")]
    assert paintings[0].dtype == paintings[1].dtype == np.float32
    assert 0 < np.abs(paintings[0] - paintings[1]).max() < 0.02
