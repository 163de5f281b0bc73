"""Measure the size rules of a network that another program made, from its graph."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx

from nst_core.base.errors import StyleError
from nst_core.base.onnx_runtime import ort
from nst_core.style_file import SizeRules

MEASURED_SIDE = 256  # pixels
LARGEST_MINIMUM = 64  # pixels; a network that needs more does not paint pictures of any size
# Memory that a CPU run takes in proportion to the tensors counted here: workspace, and an arena that grows by doubling.
# From 768x768 pixels up it was at most this much; smaller pictures take more per pixel.
MEMORY_ALLOWANCE = 1.7

Shapes = dict[str, tuple[int, ...]]


def measure(model: onnx.ModelProto, multiple_of: int = 1) -> SizeRules:
    """Return the size rules of a graph with input ``image`` and output ``styled``, float32 [1, 3, H, W].

    Raises StyleError if it runs at no size up to LARGEST_MINIMUM.
    """
    shapes = _shapes(model)
    return SizeRules(
        multiple_of,
        _minimum_size(model, multiple_of),
        _receptive_radius(model, shapes),
        _bytes_per_pixel(model, shapes),
    )


def open_quietly(model: onnx.ModelProto) -> ort.InferenceSession:
    """Return a session on the CPU that prints nothing when a run fails, for trying sizes that may not work."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _minimum_size(model: onnx.ModelProto, multiple_of: int) -> int:
    session = open_quietly(model)
    for side in range(multiple_of, LARGEST_MINIMUM + 1, multiple_of):
        try:
            session.run(["styled"], {"image": np.full((1, 3, side, side), 0.5, np.float32)})
        except Exception:  # too small; the runtime raises its own kinds
            continue
        return side
    raise StyleError(f"The network takes no picture of {LARGEST_MINIMUM} pixels or less; choose another one.")


def _shapes(model: onnx.ModelProto) -> Shapes:
    """Return the shapes of the weights and, for a square picture of MEASURED_SIDE, of all activations."""
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    names = [name for node in model.graph.node for name in node.output if name]
    # The graph returns shapes, because the activations would not fit into memory all at once.
    for name in names:
        probed.graph.node.append(onnx.helper.make_node("Shape", [name], [f"{name}.shape"]))
        probed.graph.output.append(onnx.helper.make_tensor_value_info(f"{name}.shape", onnx.TensorProto.INT64, None))
    image = np.full((1, 3, MEASURED_SIDE, MEASURED_SIDE), 0.5, np.float32)
    arrays = open_quietly(probed).run([f"{name}.shape" for name in names], {"image": image})
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    activations = {name: tuple(map(int, shape)) for name, shape in zip(names, arrays, strict=True)}
    return weights | {"image": image.shape} | activations


def _receptive_radius(model: onnx.ModelProto, shapes: Shapes) -> int:
    """Return how far an input pixel reaches in the output, in pixels, apart from statistics of the whole picture.

    Every node adds the span of its kernel in pixels of the picture. The sum is an upper bound, because pixels may lie
    off the kernel's centre.
    """
    reach = {"image": 0}
    for node in model.graph.node:
        sources = [name for name in node.input if name in reach]
        if not sources:
            continue
        output = node.output[0]
        if len(shapes[output]) != 4:
            continue  # sizes, or statistics of the whole picture
        # Pixels of the picture per pixel of the tensor; rounded, because padding makes a tensor a little larger.
        scale_in, scale_out = (max(1, round(MEASURED_SIDE / shapes[name][2])) for name in (sources[0], output))
        own = 0
        if node.op_type == "ConvTranspose":
            own = _kernel_side(node, shapes) * scale_out
        elif node.op_type in ("Conv", "MaxPool", "AveragePool"):
            own = _kernel_side(node, shapes) // 2 * scale_in
        elif node.op_type == "Resize":
            nearest = any(attribute.s == b"nearest" for attribute in node.attribute)
            own = abs(scale_in - scale_out) if nearest else max(scale_in, scale_out)
        reach[output] = max(reach[name] for name in sources) + own
    return reach["styled"]


def _kernel_side(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Return the longer side of a node's kernel in pixels of its input, with the holes of a dilated one."""
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    sides = attributes.get("kernel_shape") or shapes[node.input[1]][2:]
    dilations = attributes.get("dilations") or [1] * len(sides)
    return max(int((side - 1) * dilation + 1) for side, dilation in zip(sides, dilations, strict=True))


def _bytes_per_pixel(model: onnx.ModelProto, shapes: Shapes) -> int:
    """Return the peak memory of a run on a CPU, per input pixel.

    It counts the tensors that are alive at once; ONNX Runtime frees a tensor after its last use. A transposed
    convolution also multiplies every input pixel with every weight before it adds them up.
    """
    last_use = {name: number for number, node in enumerate(model.graph.node) for name in node.input}
    live, peak = {"image"}, 0
    for number, node in enumerate(model.graph.node):
        if node.op_type != "Constant":  # its size does not depend on the picture's
            live.update(name for name in node.output if name)
        values = sum(prod(shapes[name]) for name in live)
        if node.op_type == "ConvTranspose":
            values += prod(shapes[node.input[1]][1:]) * prod(shapes[node.input[0]][2:])
        peak = max(peak, values)
        live = {name for name in live if last_use.get(name, 0) > number}
    return round(4 * peak * MEMORY_ALLOWANCE / MEASURED_SIDE**2)
