"""Check ONNX models that are not trusted, from their bytes, before ONNX Runtime sees them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from nst_core.base.display_text import one_line
from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.base.protobuf import Field, MessageReader

LARGEST_MODEL = 64 << 20  # bytes; the bundled styles have 1.8 MB
MOST_PARTS = 200_000  # fields that are looked at; the bundled styles have about 2000
DEEPEST_GRAPH = 16  # graphs within graphs

# The messages of onnx.proto that hold tensors or nodes, or many small messages: by message, the field numbers of those
# within.
PARTS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute", 12: "value"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 13: "value", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        **{5: "tensor", 10: "tensor", 22: "sparse tensor", 23: "sparse tensor"},
        **{6: "graph", 11: "graph", 14: "type", 15: "type"},
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
    "value": {2: "type"},
    "type": {1: "tensor type", 4: "element type", 5: "map type", 8: "tensor type", 9: "element type"},
    "tensor type": {2: "shape"},
    "element type": {1: "type"},
    "map type": {2: "type"},
    "shape": {1: "dimension"},
    "dimension": {},
}
# The operators that a style may have. The time that each takes follows from the sizes of its inputs, unlike control
# flow (If, Loop, Scan), and none reads files, draws random numbers, or works on text or sequences.
OPERATOR_NAMES = """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast CastLike Ceil Celu CenterCropPad Clip Concat Constant
    ConstantOfShape Conv ConvTranspose Cos CumSum DepthToSpace DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum
    Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool
    GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HardSigmoid HardSwish Identity
    InstanceNormalization LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul Max
    MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg NonZero Not OneHot Or PRelu Pad Pow QLinearConv
    QuantizeLinear Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round ScatterElements ScatterND Selu Shape Shrink Sigmoid
    Sign Sin Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile
    TopK Transpose Trilu Unsqueeze Upsample Where Xor
"""
OPERATORS = frozenset(OPERATOR_NAMES.split())
OPERATOR, OPERATOR_SET = 4, 7  # of a node
EXTERNAL_DATA, DATA_LOCATION = 13, 14  # of a tensor


@dataclass
class ModelContents:
    """The contents of a model.

    Attributes:
        operators: the names of its operators, each after its domain and a dot unless that is ONNX's own.
        reads_files: whether a tensor, anywhere in it, has its data in another file or in memory.
    """

    operators: set[str] = field(default_factory=set)
    reads_files: bool = False


def inspect_model(data: bytes) -> ModelContents:
    """Return what a serialised model consists of, with its functions and the graphs within its nodes.

    Raises ValueError if it is damaged, or has more than MOST_PARTS parts or DEEPEST_GRAPH graphs within graphs.
    """
    contents = ModelContents()
    _inspect(MessageReader(io.BytesIO(data), MOST_PARTS), "model", Field(0, 0, len(data), None), contents, 0)
    return contents


def read_model(path: Path) -> bytes:
    """Read the model that a style file is, for ``ort.InferenceSession``.

    Raises StyleError if it cannot be read, is damaged or very large, would have ONNX Runtime read other files, or has
    operators that are not in OPERATORS.
    """
    try:
        with path.open("rb") as file:
            data = _read_all(file)
        contents = inspect_model(data)
    except (OSError, ValueError) as error:
        raise StyleError(
            _("{path} is not a usable ONNX file ({reason}); choose a style made by `neural-style export`.").format(
                path=path, reason=getattr(error, "strerror", None) or error
            )
        ) from error
    if contents.reads_files:
        raise StyleError(
            _("{path} refers to other files, but a style is a single file; choose another style.").format(path=path)
        )
    if others := contents.operators - OPERATORS:
        raise StyleError(
            _("{path} has operators that no style needs ({operators}); choose another style.").format(
                path=path, operators=list_names(others)
            )
        )
    return data


def list_names(names: Iterable[str]) -> str:
    """Return a few names of unknown origin for showing them in a sentence."""
    return one_line(", ".join(sorted(names)), 80)


def _read_all(file: BinaryIO) -> bytes:
    if os.fstat(file.fileno()).st_size > LARGEST_MODEL:
        raise ValueError("it is too large")
    return file.read(LARGEST_MODEL)


def _inspect(reader: MessageReader, kind: str, message: Field, contents: ModelContents, depth: int) -> None:
    """Add what a message of a kind in PARTS consists of to ``contents``."""
    if depth > DEEPEST_GRAPH * len(("graph", "node", "attribute")):
        raise ValueError("it has too many graphs within graphs")
    operator, domain = "", ""
    for part in reader.fields(message.start, message.end):
        if inner := PARTS[kind].get(part.number):
            _inspect(reader, inner, part, contents, depth + 1)
        elif kind == "tensor" and (part.number == EXTERNAL_DATA or (part.number == DATA_LOCATION and part.value != 0)):
            contents.reads_files = True
        elif kind == "node" and part.number == OPERATOR:
            operator = str(reader.content(part), "utf-8")
        elif kind == "node" and part.number == OPERATOR_SET:
            domain = str(reader.content(part), "utf-8")
    if kind == "node":
        contents.operators.add(operator if domain in ("", "ai.onnx") else f"{domain}.{operator}")
