"""Reads a network that was trained here back from its style file, so that another training can begin with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor

from export.measure import open_quietly
from export.to_onnx import TOLERANCE, Reference, in_torch, largest_difference
from nst_core.errors import StyleError
from nst_core.settings import TransformerSettings
from nst_core.train import Base
from nst_core.transformer import TransformerNetwork
from plugin.engine.style_library import read_styles

CHECKED_SIZES = ((32, 32), (37, 50))  # height, width


def read_base(path: Path) -> Base:
    """The network in a style file of one style or several, with the steps it has learned and its styles' names.

    It computes what the file does: that is tried out. Raises StyleError if the file is none, or the network in it is
    not one that `neural-style train` made.
    """
    styles = read_styles(path)
    model = onnx.load(path)
    try:
        network = _rebuilt(list(_tensors(model.graph)), len(styles))
        reference = Reference("", in_torch(network), CHECKED_SIZES)
        difference = largest_difference(open_quietly(model), reference, len(styles))
        if not difference <= TOLERANCE:
            raise ValueError(f"rebuilt, it differs by {difference:.1e}")
        steps = sum(int(styles[0].trained[key]) for key in ("steps", "earlier_steps"))
    except Exception as error:  # a graph can be another one in a dozen ways, and ONNX Runtime raises its own kinds
        raise StyleError(
            f"The network in {path} was not trained by this program, so no training can start from it; "
            "choose another style, or a checkpoint."
        ) from error
    return Base(network, steps, tuple(style.name for style in styles))


def _rebuilt(tensors: list[Tensor], styles: int) -> TransformerNetwork:
    """The network of these tensors, in the order of its own; its shape is read off theirs."""
    width, _, end_kernel, _ = tensors[0].shape
    convolutions = sum(tensor.ndim == 4 for tensor in tensors)
    # Six convolutions are not in residual blocks.
    network = TransformerNetwork(TransformerSettings(width, (convolutions - 6) // 2, end_kernel, styles))
    network.load_state_dict(dict(zip(network.state_dict(), tensors, strict=True)))
    return network.eval()


def _tensors(graph: onnx.GraphProto) -> Iterator[Tensor]:
    """Kernel and bias of every convolution and, where one follows, the scales and shifts of its norm ([styles, C]).

    They are found by what is computed from them, not by name: in a file of one style, the exporter has made other
    tensors of the norms' scales and shifts.
    """
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    used_by = {name: node for node in graph.node for name in node.input}

    def table(node: onnx.NodeProto, operand: str, channels: int) -> np.ndarray:
        """The other operand, or the table that it is mixed from by the styles' weights."""
        (name,) = (name for name in node.input if name != operand)
        while name not in constants:
            maker = made_by[name]
            name = maker.input[1 if maker.op_type == "MatMul" else 0]
        return constants[name].reshape(-1, channels)

    for node in graph.node:
        if node.op_type != "Conv":
            continue
        kernel, bias = (constants[name] for name in node.input[1:])
        found = [kernel, bias]
        norm = used_by[node.output[0]]
        if norm.op_type == "InstanceNormalization":
            scaling = used_by[norm.output[0]]
            shifting = used_by[scaling.output[0]]
            found += [
                table(scaling, norm.output[0], len(bias)),
                table(shifting, scaling.output[0], len(bias)),
            ]
        for array in found:
            yield torch.from_numpy(array.copy())
