"""Rebuild a network that was trained here from its style file, so another training can start from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor

from export.measure import open_quietly
from export.to_onnx import TOLERANCE, chosen, largest_difference, torch_reference
from nst_core.base.errors import StyleError
from nst_core.base.onnx_model import read_model
from nst_core.base.training_settings import TransformerSettings
from nst_core.fast.starting_network import StartingNetwork
from nst_core.fast.transformer import PhaseConvolution, TransformerNetwork
from nst_core.style_file import read_styles

COMPARED_SIZES = ((32, 32), (37, 50))  # height, width
CONVOLUTIONS_OUTSIDE_BLOCKS = 6


def read_starting_network(path: Path) -> StartingNetwork:
    """Return the network in a style file, with its training steps and its styles' names.

    The rebuilt network is compared with the file at COMPARED_SIZES. Raises StyleError if ``path`` is not a style file,
    or if `neural-style train` did not make its network.
    """
    styles = read_styles(path)
    model = onnx.load_from_string(read_model(path))
    try:
        shape = TransformerSettings(styles=len(styles), rows_per_style=styles[0].rows_per_style)
        network = _rebuild(list(_tensors(model, shape.rows)), shape)
        reference = replace(torch_reference(network, styles[0].row_weights()), sizes=COMPARED_SIZES)
        difference = largest_difference(open_quietly(model), reference, shape.rows)
        if not difference <= TOLERANCE:
            raise ValueError(f"rebuilt, it differs by {difference:.1e}")
        steps = sum(int(styles[0].trained[key]) for key in ("steps", "earlier_steps"))
    except Exception as error:  # a foreign graph can fail in many ways, and ONNX Runtime raises its own kinds
        raise StyleError(
            f"The network in {path} was not trained by this program, so no training can start from it; "
            "choose another style, or a checkpoint."
        ) from error
    return StartingNetwork(network, steps, tuple(style.name for style in styles))


def _rebuild(tensors: list[Tensor], shape: TransformerSettings) -> TransformerNetwork:
    """Return the network with these tensors, which are in the order of its state dict.

    They determine its shape except for the numbers of styles and rows, which are those of ``shape``.
    """
    width, _, end_kernel, _ = tensors[0].shape
    convolutions = sum(tensor.ndim == 4 for tensor in tensors)
    blocks = (convolutions - CONVOLUTIONS_OUTSIDE_BLOCKS) // 2
    network = TransformerNetwork(replace(shape, width=width, residual_blocks=blocks, end_kernel=end_kernel))
    state = dict(zip(network.state_dict(), tensors, strict=True))
    for name, layer in network.named_modules():
        if isinstance(layer, PhaseConvolution):
            state[f"{name}.weight"] = layer.weight_for(state[f"{name}.weight"])
            state[f"{name}.bias"] = state[f"{name}.bias"][::4]
    network.load_state_dict(state)
    return network.eval()


def _tensors(model: onnx.ModelProto, rows: int) -> Iterator[Tensor]:
    """Yield kernel and bias of every convolution, scales and shifts of every norm ([rows, C]), in node order.

    They are read while the graph runs, once for each row, because it computes some of them.
    """
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    del probed.graph.output[:]
    nodes = [node for node in model.graph.node if node.op_type in ("Conv", "InstanceNormalization")]
    inputs = [(name, node.op_type) for node in nodes for name in node.input[1:]]
    for number, (name, _) in enumerate(inputs):
        output = f"given.{number}"
        probed.graph.node.append(onnx.helper.make_node("Identity", [name], [output]))
        probed.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
    session = open_quietly(probed)
    image = {"image": np.zeros((1, 3, *COMPARED_SIZES[0]), np.float32)}
    values = zip(*(session.run(None, image | chosen(row.tolist())) for row in np.eye(rows)), strict=True)
    for (_, kind), arrays in zip(inputs, values, strict=True):
        yield torch.from_numpy(np.stack(arrays) if kind == "InstanceNormalization" else arrays[0])
