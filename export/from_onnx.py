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
from nst_core.base.errors import StyleError
from nst_core.base.settings import TransformerSettings
from nst_core.fast.train import Base
from nst_core.fast.transformer import PhaseConvolution, TransformerNetwork
from plugin.engine.fast.style_library import read_styles

CHECKED_SIZES = ((32, 32), (37, 50))  # height, width


def read_base(path: Path) -> Base:
    """The network in a style file of one style or several, with the steps it has learned and its styles' names.

    It computes what the file does: that is tried out. Raises StyleError if the file is none, or the network in it is
    not one that `neural-style train` made.
    """
    styles = read_styles(path)
    model = onnx.load(path)
    try:
        network = _rebuilt(list(_tensors(model, len(styles))), len(styles))
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
    state = dict(zip(network.state_dict(), tensors, strict=True))
    for name, layer in network.named_modules():
        if isinstance(layer, PhaseConvolution):
            state[f"{name}.weight"] = layer.of_phases(state[f"{name}.weight"])
            state[f"{name}.bias"] = state[f"{name}.bias"][::4]
    network.load_state_dict(state)
    return network.eval()


def _tensors(model: onnx.ModelProto, styles: int) -> Iterator[Tensor]:
    """Kernel and bias of every convolution, scales and shifts of every norm ([styles, C]), in the order of the nodes.

    They are what the nodes are given when a style is asked for: some of them are left to the graph to compute.
    """
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    del probed.graph.output[:]
    nodes = [node for node in model.graph.node if node.op_type in ("Conv", "InstanceNormalization")]
    given = [(name, node.op_type) for node in nodes for name in node.input[1:]]
    for number, (name, _) in enumerate(given):
        probed.graph.node.append(onnx.helper.make_node("Identity", [name], [f"given.{number}"]))
        probed.graph.output.append(onnx.helper.make_tensor_value_info(f"given.{number}", onnx.TensorProto.FLOAT, None))
    session = open_quietly(probed)
    inputs = {"image": np.zeros((1, 3, *CHECKED_SIZES[0]), np.float32)}
    each = [{"style_weights": row} for row in np.eye(styles, dtype=np.float32)[:, None]] if styles > 1 else [{}]
    found = zip(*(session.run(None, inputs | weights) for weights in each), strict=True)
    for (_, kind), arrays in zip(given, found, strict=True):
        yield torch.from_numpy(np.stack(arrays) if kind == "InstanceNormalization" else arrays[0])
