"""Count the operations of a network's convolutions and the numbers that they read and write."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx

from benchmarks.measuring.onnx_tools import SymbolicShapeInference


@dataclass(frozen=True)
class ConvolutionCost:
    """The cost of all convolutions of a network.

    Attributes:
        flops: operations; a multiplication and an addition are two.
        values: the numbers read and written if every input, kernel and output passes once.
    """

    flops: int
    values: int


def graph_cost(model: onnx.ModelProto, height: int, width: int) -> ConvolutionCost:
    """Count the ``Conv`` and ``ConvTranspose`` nodes of a graph whose one input is [1, 3, height, width]."""
    shapes = _shapes(model, height, width)
    flops = values = 0
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            image, kernel, out = (shapes[name] for name in (*node.input[:2], node.output[0]))
            flops += 2 * math.prod(kernel) * math.prod((out if node.op_type == "Conv" else image)[2:])
            values += sum(map(math.prod, (image, kernel, out)))
    return ConvolutionCost(flops, values)


def _shapes(model: onnx.ModelProto, height: int, width: int) -> dict[str, list[int]]:
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    del sized.graph.value_info[:]
    for output in sized.graph.output:
        output.type.tensor_type.ClearField("shape")
    for dimension, extent in zip(sized.graph.input[0].type.tensor_type.shape.dim, (1, 3, height, width), strict=True):
        dimension.dim_value = extent
    # ONNX's own inference does not follow sizes that the graph computes.
    inferred = SymbolicShapeInference.infer_shapes(sized).graph
    known = (*inferred.value_info, *inferred.input, *inferred.output)
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in known}
    return shapes | {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
