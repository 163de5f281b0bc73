"""ONNX Runtime's Python tools, which import ONNX Runtime itself: every benchmark imports them from here."""

from __future__ import annotations

from nst_core.base.onnx_runtime import ort  # first: it turns off the telemetry

# isort: split
from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

__all__ = ["DEFAULT_OP_BLOCK_LIST", "OnnxModel", "SymbolicShapeInference", "convert_float_to_float16", "ort"]
