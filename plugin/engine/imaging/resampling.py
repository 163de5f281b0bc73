"""Planes to other sizes, by ONNX Runtime: the same as by Pillow, which takes several times as long with floats.

What is run is resampling.onnx, which export/resampling_graph.py made.
"""

from __future__ import annotations

import functools
from enum import IntEnum
from pathlib import Path

import numpy as np
import onnxruntime as ort

from plugin.engine.machine.provider import CPU


class Kernel(IntEnum):
    """LINEAR, for enlarging, and REDUCE, for reducing, make nothing that is lighter or darker than their input. CUBIC
    is sharper, and does for both.
    """

    LINEAR = 0
    REDUCE = 1
    CUBIC = 2


def resampled(planes: np.ndarray, size: tuple[int, int], kernel: Kernel) -> np.ndarray:
    """float32 [C, h, w] to [C, H, W] of this height and width."""
    resized = np.empty((1, len(planes), *size), np.float32)
    inputs = {"planes": planes[None], "shape": np.array(resized.shape, np.int64), "kernel": np.array(kernel, np.int64)}
    binding = _session().io_binding()
    for name, values in inputs.items():
        binding.bind_cpu_input(name, values)
    # Into memory of NumPy's, which the system hands out in fewer pieces than the runtime's.
    binding.bind_output("resized", "cpu", 0, np.float32, resized.shape, resized.ctypes.data)
    _session().run_with_iobinding(binding)
    return resized[0]


@functools.cache
def _session() -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # as of the styles' sessions
    options.enable_cpu_mem_arena = False
    # NumPy takes style_schedule with it, whose threads could not work while the runtime's wait by spinning.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(Path(__file__).with_suffix(".onnx"), options, providers=[CPU])
