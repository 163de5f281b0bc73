"""What a style file must say of its network's sizes, read off the graph of a network that others made."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx

from nst_core.base.errors import StyleError
from nst_core.base.onnx_runtime import ort
from nst_core.style_file import SizeRules

MEASURED_SIDE = 256
LARGEST_MINIMUM = 64  # in pixels; what needs more is no network for pictures of any size
# What a CPU takes beyond the tensors counted here: workspace, and an arena that grows by doubling. From 768x768
# pixels on that was at most this much; smaller pictures take more for each pixel.
MARGIN = 1.7


def measure(model: onnx.ModelProto, multiple_of: int = 1) -> SizeRules:
    """The size rules of a graph with the input ``image`` and the output ``styled``, float32 [1, 3, H, W].

    Raises StyleError if it takes no size up to LARGEST_MINIMUM.
    """
    shapes = _shapes(model)
    return SizeRules(
        multiple_of,
        _minimum_size(model, multiple_of),
        _receptive_radius(model, shapes),
        _bytes_per_pixel(model, shapes),
    )


def open_quietly(model: onnx.ModelProto) -> ort.InferenceSession:
    """A session on the CPU that prints nothing when a run fails, for sizes that may not work."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _minimum_size(model: onnx.ModelProto, multiple_of: int) -> int:
    session = open_quietly(model)
    for side in range(multiple_of, LARGEST_MINIMUM + 1, multiple_of):
        try:
            session.run(["styled"], {"image": np.full((1, 3, side, side), 0.5, np.float32)})
        except Exception:
            continue
        return side
    raise StyleError(f"The network takes no picture of {LARGEST_MINIMUM} pixels or less; choose another one.")


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """The shape of every weight, of a square picture of MEASURED_SIDE, and of all that the nodes make of it."""
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    names = [name for node in model.graph.node for name in node.output if name]
    # Shapes in place of the tensors themselves, which would not fit into memory all at once.
    for name in names:
        probed.graph.node.append(onnx.helper.make_node("Shape", [name], [f"{name}.shape"]))
        probed.graph.output.append(onnx.helper.make_tensor_value_info(f"{name}.shape", onnx.TensorProto.INT64, None))
    image = np.full((1, 3, MEASURED_SIDE, MEASURED_SIDE), 0.5, np.float32)
    found = open_quietly(probed).run([f"{name}.shape" for name in names], {"image": image})
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    return weights | {"image": image.shape} | dict(zip(names, (tuple(map(int, shape)) for shape in found), strict=True))


def _receptive_radius(model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]]) -> int:
    """How far in pixels an input pixel reaches in the output, statistics of the whole picture apart.

    Every node adds what its kernel spans, in pixels of the picture; a bound, as pixels may lie off the kernel's centre.
    """
    reach = {"image": 0}
    for node in model.graph.node:
        known = [name for name in node.input if name in reach]
        if not known:
            continue
        output = node.output[0]
        if len(shapes[output]) != 4:
            continue  # sizes, or statistics of the whole picture
        # Rounded, for padding makes a tensor a little larger than its share of the picture.
        before, after = (max(1, round(MEASURED_SIDE / shapes[name][2])) for name in (known[0], output))
        own = 0
        if node.op_type == "ConvTranspose":
            own = _kernel(node, shapes) * after
        elif node.op_type in ("Conv", "MaxPool", "AveragePool"):
            own = _kernel(node, shapes) // 2 * before
        elif node.op_type == "Resize":
            nearest = any(attribute.s == b"nearest" for attribute in node.attribute)
            own = abs(before - after) if nearest else max(before, after)
        reach[output] = max(reach[name] for name in known) + own
    return reach["styled"]


def _kernel(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    """The larger side of a node's kernel in its own pixels, holes of a dilated one included."""
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    sides = attributes.get("kernel_shape") or shapes[node.input[1]][2:]
    dilations = attributes.get("dilations") or [1] * len(sides)
    return max((side - 1) * dilation + 1 for side, dilation in zip(sides, dilations, strict=True))


def _bytes_per_pixel(model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]]) -> int:
    """Memory at the peak of a run on a CPU: the tensors that are alive at once, and what a node takes for itself.

    ONNX Runtime frees a tensor after its last use. A transposed convolution first multiplies every input pixel with
    every weight, and adds up after that.
    """
    last = {name: number for number, node in enumerate(model.graph.node) for name in node.input}
    live, peak = {"image"}, 0
    for number, node in enumerate(model.graph.node):
        if node.op_type != "Constant":  # a weight, however large the picture is
            live.update(name for name in node.output if name)
        values = sum(prod(shapes[name]) for name in live)
        if node.op_type == "ConvTranspose":
            values += prod(shapes[node.input[1]][1:]) * prod(shapes[node.input[0]][2:])
        peak = max(peak, values)
        live = {name for name in live if last.get(name, 0) > number}
    return round(4 * peak * MARGIN / MEASURED_SIDE**2)
