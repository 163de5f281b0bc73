"""Resize planes and pictures with ONNX Runtime: as Pillow does, which takes several times as long with floats.

The network that resizes is resampling.onnx, which export/resampling_graph.py makes.
"""

from __future__ import annotations

import functools
from enum import IntEnum
from pathlib import Path

import numpy as np

from nst_core.base.onnx_runtime import ort
from plugin.engine.imaging.bands import bands, in_threads
from plugin.engine.machine.provider import CPU


class Kernel(IntEnum):
    """A resampling kernel, by its number in the network.

    LINEAR, to enlarge, and REDUCE, to reduce, stay within the range of their input. CUBIC is sharper, and does both.
    """

    LINEAR = 0
    REDUCE = 1
    CUBIC = 2


def resample_planes(planes: np.ndarray, size: tuple[int, int], kernel: Kernel) -> np.ndarray:
    """Resize planes, float32 [C, h, w], to [C, H, W] with (H, W) = ``size``."""
    resized = np.empty((1, len(planes), *size), np.float32)
    inputs = {"planes": planes[None], "shape": np.array(resized.shape, np.int64), "kernel": np.array(kernel, np.int64)}
    binding = _session().io_binding()
    for name, values in inputs.items():
        binding.bind_cpu_input(name, values)
    # Into NumPy's memory, which the system hands out in fewer pieces than the runtime's.
    binding.bind_output("resized", "cpu", 0, np.float32, resized.shape, resized.ctypes.data)
    _session().run_with_iobinding(binding)
    result: np.ndarray = resized[0]
    return result


def resample_picture(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a picture, float32 [H, W, C] in 0..1, by cubic filtering. Return itself if it has that size.

    As in a network's output, the channels of the result lie one after another in memory.
    """
    if picture.shape[:2] == (height, width):
        return picture
    planes = resample_planes(_planes(picture), (height, width), Kernel.CUBIC)
    in_threads(lambda rows: np.clip(planes[:, rows], 0.0, 1.0, out=planes[:, rows]), bands(height, width))
    return planes.transpose(1, 2, 0)


def _planes(picture: np.ndarray) -> np.ndarray:
    """Return [H, W, C] as [C, H, W]."""
    planes = picture.transpose(2, 0, 1)
    if planes.flags.c_contiguous:
        return planes
    planes = np.empty(planes.shape, np.float32)

    def copy(rows: slice) -> None:
        for channel, plane in enumerate(planes):
            plane[rows] = picture[rows, :, channel]

    in_threads(copy, bands(*picture.shape[:2]))
    return planes


@functools.cache
def _session() -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # as in the styles' sessions
    options.enable_cpu_mem_arena = False
    # This alternates with NumPy, whose threads could not work while the runtime's wait by spinning.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(Path(__file__).with_suffix(".onnx"), options, providers=[CPU])
