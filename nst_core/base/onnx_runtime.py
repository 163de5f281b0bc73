"""ONNX Runtime without its telemetry: every module imports ``ort`` from here."""

from __future__ import annotations

import os

# ONNX Runtime's packages send usage data to Microsoft unless this is set when they are imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort  # after the variable is set

__all__ = ["ort"]
