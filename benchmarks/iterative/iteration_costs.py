"""Measure what one iteration costs: time, memory, and the least time that its convolutions could take."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.iterative.methods import RenderJob
from benchmarks.measuring.command import TimingSettings
from benchmarks.measuring.first_calls import is_out_of_memory, measure_first_call
from benchmarks.measuring.machine import DTYPES, MatrixProduct
from benchmarks.measuring.record_files import Record
from benchmarks.measuring.timing import CLOCKS, median_ratio
from nst_core.iterative.render import IterativeProgress


def measure_cost(name: str, job: RenderJob, timing: TimingSettings) -> Record:
    """Measure an iteration: its time, its memory in a process of its own, and the floor of its convolutions.

    The floor takes each convolution at the rate of its own precision: a slim network's features stay in float32 even
    where the rest is in bfloat16. ``seconds`` is None if memory runs out.
    """
    record: Record = {"way": name, "size": job.size, "seconds": None}
    first = measure_first_call(timing.device, timing.clock, prepare_short_render, job, timing.threads)
    if first is None:
        return record
    try:
        flops = convolution_flops(job, timing.turns)
        products = {precision: MatrixProduct(timing.matrix, precision, timing.device) for precision in flops}
        seconds, product_seconds = _time_iterations(job, products, timing)
    except Exception as error:  # PyTorch has several kinds
        if not is_out_of_memory(error):
            raise
        return record
    return record | {
        "seconds": statistics.median(seconds),
        "timings": seconds,
        "product_timings": product_seconds,
        "mib": first.mib,
        "flops": flops,
        "by_floor": median_ratio(seconds, floors(flops, products, product_seconds)),
    }


def prepare_short_render(job: RenderJob, threads: int) -> Callable[[], object]:
    """Return a render of two iterations, to measure its memory."""
    torch.set_num_threads(threads)
    return lambda: job.run(2, lambda _: True)


def convolution_flops(job: RenderJob, turns: int) -> dict[str, int]:
    """Count the operations of an iteration's convolutions by precision.

    They are those of the forward pass, of the backward pass to the picture, and of the photo if it moves. The result is
    the mean over ``turns`` iterations, because their views of the picture differ in size.
    """
    # The targets are computed before the first iteration and do not count.
    counted = _count_flops(job, turns + 1) - _count_flops(job, 1)
    return {precision: flops // turns for precision, flops in counted.items()}


def _count_flops(job: RenderJob, iterations: int) -> Counter[str]:
    counter = ConvolutionFlops()
    with counter:
        job.run(iterations, lambda _: True)
    return counter.flops


class ConvolutionFlops(TorchDispatchMode):
    """Count the operations of all convolutions while it is entered.

    Attributes:
        flops: operations by precision.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Sequence[Any] = (), more: Mapping[str, Any] | None = None
    ) -> Any:
        result = function(*arguments, **(more or {}))
        kind = function._overloadpacket
        if "convolution" in str(kind) and kind in flop_registry:
            precision = next(name for name, dtype in DTYPES.items() if dtype == arguments[0].dtype)
            self.flops[precision] += flop_registry[kind](*arguments, **(more or {}), out_val=result)
        return result


def _time_iterations(
    job: RenderJob, products: Mapping[str, MatrixProduct], timing: TimingSettings
) -> tuple[list[float], dict[str, list[float]]]:
    """Return the seconds of iterations, and of the matrix products after each. The very first turn does not count."""
    now = CLOCKS[timing.clock]
    multiplications = {name: product.prepare() for name, product in products.items()}
    seconds: list[float] = []
    product_seconds: dict[str, list[float]] = {name: [] for name in products}
    last_end = 0.0

    def progress(_: IterativeProgress) -> bool:
        nonlocal last_end
        if timing.device.type == "cuda":
            torch.cuda.synchronize()
        mark = now()
        seconds.append(mark - last_end)
        for name, multiply in multiplications.items():
            multiply()
            product_seconds[name].append(now() - mark)
            mark = now()
        last_end = now()
        return True

    job.run(timing.turns + 1, progress)
    return seconds[1:], {name: values[1:] for name, values in product_seconds.items()}


def floors(
    flops: Mapping[str, int], products: Mapping[str, MatrixProduct], seconds: Mapping[str, Sequence[float]]
) -> list[float]:
    """Return, for each turn, the seconds that an iteration's convolutions would take at the rates of the products."""
    turns = zip(*([flops[name] / products[name].flops * one for one in seconds[name]] for name in flops), strict=True)
    return [sum(turn) for turn in turns]
