import pytest

pytest.importorskip("torch")

import torch

from benchmarks.inference.backends import ONNX_RUNTIME, PYTORCH, Backend, largest_differences, node_placement
from plugin.engine.machine.provider import CPU, Provider


def test_all_backends_paint_nearly_the_same(tiny_style):
    backends = [
        Backend(ONNX_RUNTIME, "fp32"),
        Backend(PYTORCH, "fp32"),
        Backend(PYTORCH, "bf16"),
        Backend(ONNX_RUNTIME, "fp32", "bound"),
    ]
    differences = largest_differences(backends, None, tiny_style, 64, torch.device("cpu"), 1)
    assert differences["ONNX Runtime fp32"] == differences["ONNX Runtime fp32 bound"] == 0
    assert 0 < differences["PyTorch fp32"] < 0.1 < differences["PyTorch bf16"] < 20


def test_placement_counts_the_nodes_that_ran(tiny_style, tmp_path):
    nodes = node_placement(tiny_style, Provider(CPU, ""), tmp_path)
    assert list(nodes) == [CPU] and nodes[CPU]["Conv"] == 8 and nodes[CPU]["InstanceNormalization"] == 7
