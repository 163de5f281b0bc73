"""Measure the time and the memory of a first call, in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from benchmarks.measuring.timing import CLOCKS
from plugin.engine.machine.memory import gpu_memory, keep_freed_memory, peak_rss_mib

OUT_OF_MEMORY = ("out of memory", "failed to allocate", "bad_alloc", "can't allocate", "not enough memory")


@dataclass(frozen=True)
class FirstCall:
    """The first call in a process of its own.

    Attributes:
        seconds: of the call.
        mib: the peak memory of opening and calling.
    """

    seconds: float
    mib: float


def measure_first_call(
    device: torch.device, clock: str, opener: Callable[..., Callable[[], object]], *arguments: Any
) -> FirstCall | None:
    """Call ``opener(*arguments)`` and once what it returns, in a new process; None if that runs out of memory.

    ``opener`` is a function of a module, so the other process finds it.
    """
    # A fork of this process would inherit CUDA and all memory in use here. A fork server that has only imported what
    # takes long forks in no time.
    has_fork_server = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if has_fork_server else "spawn")
    if has_fork_server:
        context.set_forkserver_preload([__name__, "nst_core.base.onnx_runtime"])
    with ProcessPoolExecutor(1, context) as pool:
        try:
            return pool.submit(_measure, device, clock, opener, arguments).result()
        except BrokenProcessPool:
            return None  # the system ends a process that takes too much memory


def _measure(
    device: torch.device, clock: str, opener: Callable[..., Callable[[], object]], arguments: Sequence[Any]
) -> FirstCall | None:
    try:
        keep_freed_memory()
        before = _memory_mib(device)
        call = opener(*arguments)
        start = CLOCKS[clock]()
        call()
        return FirstCall(CLOCKS[clock]() - start, _memory_mib(device, peak=True) - before)
    except Exception as error:  # PyTorch has several kinds, and ONNX Runtime's have only this base class
        if is_out_of_memory(error):
            return None
        raise


def is_out_of_memory(error: Exception) -> bool:
    """Return whether ``error`` says that memory ran out, on the CPU or the GPU."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY)


def _memory_mib(device: torch.device, peak: bool = False) -> float:
    """Return the MiB in use: by this process, or on a GPU by all, with an offset that is the same in every call.

    On a GPU this is the peak as well, because no memory pool gives anything back before the process ends.
    """
    if device.type == "cuda":
        free = gpu_memory()
        return float("nan") if free is None else -free / 2**20
    return peak_rss_mib() if peak else psutil.Process().memory_info().rss / 2**20
