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


def rows_needed(height: int, new_height: int, rows: slice, kernel: Kernel) -> slice:
    """Return which of a picture's ``height`` rows the ``rows`` of its copy with ``new_height`` are computed from."""
    first, end = _taps(height, new_height, np.array([rows.start, rows.stop - 1]), kernel)[:2]
    return slice(int(first[0]), int(end[1]))


def resample_rows(
    planes: np.ndarray, first: int, height: int, size: tuple[int, int], rows: slice, kernel: Kernel
) -> np.ndarray:
    """Compute ``rows`` of what ``resample_planes`` computes, from as many rows of the planes as ``rows_needed`` says.

    ``planes``, float32 [C, h, w], hold the rows from ``first`` on, of ``height``. Returns [C, rows, W], with (H, W) =
    ``size``.
    """
    taps, weights = _weights(height, size[0], np.arange(rows.start, rows.stop), kernel)
    if size[1] < planes.shape[2]:  # the direction first that leaves less for the other
        return _down(_across(planes, size[1], kernel), taps - first, weights)
    return _across(_down(planes, taps - first, weights), size[1], kernel)


def add_to_rows(planes: np.ndarray, rows: slice, height: int, size: tuple[int, int], kernel: Kernel) -> np.ndarray:
    """Compute the part that ``rows`` have in what ``resample_planes`` computes: float64 [C, H, W], (H, W) = ``size``.

    ``planes``, float32 [C, rows, w], are those rows, of ``height``. The sum of all parts is the resampled picture.
    """
    taps, weights = _weights(height, size[0], np.arange(size[0]), kernel)
    narrow = _across(planes, size[1], kernel)
    part = np.zeros((len(planes), *size))
    for row, (row_taps, row_weights) in enumerate(zip(taps, weights, strict=True)):
        inside = (row_taps >= rows.start) & (row_taps < rows.stop) & (row_weights != 0)
        part[:, row] = np.einsum("t,ctw->cw", row_weights[inside], narrow[:, row_taps[inside] - rows.start])
    return part


def _weights(height: int, new_height: int, rows: np.ndarray, kernel: Kernel) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that each resampled row is computed from, and their weights: [rows, taps] each.

    Where a row has fewer than others, its last one is repeated with the weight 0.
    """
    first, end, centres, scale = _taps(height, new_height, rows, kernel)
    taps = first[:, None] + np.arange((end - first).max())
    distance = np.abs(taps + 0.5 - centres[:, None]) / scale
    if kernel is Kernel.CUBIC:  # Keys 1981 with a = -0.5
        near = (1.5 * distance - 2.5) * distance * distance + 1
        far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
        values = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    else:
        values = np.maximum(0, 1 - distance)
    values *= taps < end[:, None]
    weights = (values / values.sum(1, keepdims=True)).astype(np.float32)
    return np.minimum(taps, end[:, None] - 1), weights


def _down(planes: np.ndarray, taps: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return weighted sums of rows, [C, rows, w], from their numbers and weights, [rows, taps] each."""
    # Not by a matrix product: its threads would wait for those of the bands.
    total = planes[:, taps[:, 0]]
    total *= weights[:, :1]
    for tap in range(1, taps.shape[1]):
        part = planes[:, taps[:, tap]]
        part *= weights[:, tap, None]
        total += part
    return total


def _across(planes: np.ndarray, width: int, kernel: Kernel) -> np.ndarray:
    if width == planes.shape[2]:
        return planes
    return resample_planes(planes, (planes.shape[1], width), kernel)


def _taps(
    height: int, new_height: int, rows: np.ndarray, kernel: Kernel
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return from which row up to which each resampled row is computed, as Pillow's ``resize`` chooses them.

    Also return where each lies among the rows, and the width of the kernel.
    """
    ratio = height / new_height
    scale = 1.0 if kernel is Kernel.LINEAR else max(1.0, ratio)
    reach = (2.0 if kernel is Kernel.CUBIC else 1.0) * scale
    centres = (rows + 0.5) * ratio
    first = np.maximum(0, np.floor(centres - reach + 0.5)).astype(int)
    end = np.minimum(height, np.floor(centres + reach + 0.5)).astype(int)
    return first, end, centres, scale


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
