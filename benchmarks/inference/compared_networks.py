"""Make the networks that are compared: the classic one, and any style in half precision or in PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from benchmarks.measuring.onnx_tools import DEFAULT_OP_BLOCK_LIST, OnnxModel, convert_float_to_float16
from export.foreign.import_style import import_style, read_network
from export.foreign.networks import UnitRangeNetwork
from export.from_onnx import read_starting_network
from nst_core.base.training_settings import TransformerSettings
from nst_core.style_file import StyleCard

CLASSIC_SHAPE = TransformerSettings(width=32, end_kernel=9)


def write_classic_style(shape: TransformerSettings, path: Path) -> None:
    """Write a style file of the classic network with random weights, and next to it the .pth that it comes from."""
    torch.manual_seed(0)
    torch.save(_classic_weights(shape), path.with_suffix(".pth"))
    import_style(path.with_suffix(".pth"), StyleCard("Classic"), np.zeros((64, 64, 3), np.uint8), path)


def _classic_weights(shape: TransformerSettings) -> dict[str, Tensor]:
    """Draw weights named like those of pytorch/examples' fast_neural_style."""
    w, ends = shape.width, shape.end_kernel
    convolutions = {"conv1": (w, 3, ends), "conv2": (2 * w, w, 3), "conv3": (4 * w, 2 * w, 3)}
    convolutions |= {f"res{n}.conv{m}": (4 * w, 4 * w, 3) for n in range(1, shape.residual_blocks + 1) for m in (1, 2)}
    convolutions |= {"deconv1": (2 * w, 4 * w, 3), "deconv2": (w, 2 * w, 3), "deconv3": (3, w, ends)}
    norms = {"in1": w, "in2": 2 * w, "in3": 4 * w, "in4": 2 * w, "in5": w}
    norms |= {f"res{n}.in{m}": 4 * w for n in range(1, shape.residual_blocks + 1) for m in (1, 2)}
    state: dict[str, Tensor] = {}
    for name, (channels_out, channels_in, kernel) in convolutions.items():
        drawn = nn.Conv2d(channels_in, channels_out, kernel).state_dict()
        state |= {f"{name}.conv2d.{key}": value for key, value in drawn.items()}
    for name, channels in norms.items():
        state |= {f"{name}.weight": torch.ones(channels), f"{name}.bias": torch.zeros(channels)}
    return state


def read_in_pytorch(path: Path) -> nn.Module:
    """Read the PyTorch network of a style file: one trained here, or the .pth next to it."""
    original = path.with_suffix(".pth")
    if not original.exists():
        return read_starting_network(path).network
    imported = read_network(original)
    assert isinstance(imported, nn.Module)
    return UnitRangeNetwork(imported).eval()


def write_half_precision(path: Path, target: Path) -> Path:
    """Write the style file ``path`` in half precision to ``target``; return ``target``.

    Input and output stay float32. So do the norms, whose sums over a whole picture overflow in half precision, and the
    last convolution, where rounding would show.
    """
    model = onnx.load(path)
    _separate_constants(model)
    last = [node.name for node in model.graph.node if node.op_type == "Conv"][-1]
    blocked = [*DEFAULT_OP_BLOCK_LIST, "InstanceNormalization"]
    converted = convert_float_to_float16(model, keep_io_types=True, op_block_list=blocked, node_block_list=[last])
    OnnxModel(converted).topological_sort()
    del converted.graph.value_info[:]  # these types are those of float32
    target.write_bytes(converted.SerializeToString())
    return target


def _separate_constants(model: onnx.ModelProto) -> None:
    """Give every node constants of its own: for shared ones the converter makes two nodes of the same name."""
    shared = {tensor.name: tensor for tensor in model.graph.initializer}
    inputs = {value.name for value in model.graph.input}
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name in shared and name not in inputs:
                tensor = model.graph.initializer.add()
                tensor.CopyFrom(shared[name])
                node.input[place] = tensor.name = f"{node.name}.{place}"
    kept = [t for t in model.graph.initializer if t.name not in shared or t.name in inputs]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
