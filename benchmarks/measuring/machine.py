"""Describe the machine and measure what it can do at most: the rates of a matrix product and of a memory copy."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from benchmarks.measuring.timing import time_in_turns
from nst_core.base.onnx_runtime import ort

Result = TypeVar("Result")

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# Large enough for the machine's best rate, small enough to take no longer than what is measured in the same turns.
MATRIX_SIDE = {"cpu": 2048, "cuda": 8192}
BANDWIDTH_BYTES = 2**28  # far more than any cache


def describe_machine(device: torch.device, threads: int) -> str:
    """Return the device and the versions of the libraries in one line."""
    if device.type == "cuda":
        hardware = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    else:
        hardware = f"{_cpu_name()}, {threads} thread{'s' * (threads > 1)}"
    return f"{hardware}; PyTorch {torch.__version__}, ONNX Runtime {ort.__version__}"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@dataclass(frozen=True)
class MatrixProduct:
    """The product of two random square matrices, whose rate stands for the machine's.

    Attributes:
        side: of the matrices.
        precision: a key of DTYPES.
    """

    side: int
    precision: str
    device: torch.device

    @property
    def flops(self) -> int:
        """The operations; a multiplication and an addition are two."""
        return 2 * self.side**3

    def prepare(self) -> Callable[[], Tensor]:
        """Draw the matrices; return a function that multiplies them once and waits for the device."""
        a, b = (torch.randn(self.side, self.side, device=self.device).to(DTYPES[self.precision]) for _ in range(2))
        out = torch.empty_like(a)
        return synchronised(lambda: torch.mm(a, b, out=out), self.device)


def copy_bandwidth(device: torch.device, turns: int, clock: str) -> float:
    """Return the bytes per second that copying a large block reads and writes."""
    source = torch.zeros(BANDWIDTH_BYTES // 4, device=device)
    target = torch.ones_like(source)
    seconds = time_in_turns({"copy": synchronised(lambda: target.copy_(source), device)}, turns, clock)["copy"]
    return 2 * BANDWIDTH_BYTES / statistics.median(seconds)


def synchronised(call: Callable[[], Result], device: torch.device) -> Callable[[], Result]:
    """Return a version of ``call`` that returns only when the device has finished."""
    if device.type != "cuda":
        return call

    def finished() -> Result:
        result = call()
        torch.cuda.synchronize()
        return result

    return finished
