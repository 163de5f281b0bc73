"""What the benchmarks share: the machine and its own rates, timing in turns, what convolutions cost, and tables."""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import psutil
import torch

from nst_core.base.device_names import DEVICES
from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from nst_core.base.onnx_runtime import ort
from plugin.engine.machine.memory import gpu_memory, keep_freed_memory, peak_rss_mib

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "processor": time.process_time}
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# Large enough for the machine's best rate, and small enough that a product takes no longer than what it is beside.
MATRIX_SIDE = {"cpu": 2048, "cuda": 8192}
BANDWIDTH_BYTES = 2**28  # far more than any cache
OUT_OF_MEMORY = ("out of memory", "failed to allocate", "bad_alloc", "can't allocate", "not enough memory")


# ---- the command line -------------------------------------------------------------------------------------------


@contextmanager
def one_sentence(name: str) -> Iterator[None]:
    """Around the benchmark ``name``: bad input is one sentence and the exit code 2, Ctrl-C is another and 130."""
    try:
        yield
    except StyleError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{name}: stopped.", file=sys.stderr)
        sys.exit(130)


def add_options(parser: argparse.ArgumentParser, sizes_on_cpu: Sequence[int], sizes_on_gpu: Sequence[int]) -> None:
    """The options that every benchmark of time has; ``settle`` puts in what was not given."""
    parser.add_argument(
        "--sizes",
        type=numbers,
        metavar="N,N,...",
        help=f"sides in pixels (default {comma(sizes_on_gpu)} on a GPU, {comma(sizes_on_cpu)} on a CPU)",
    )
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--turns", type=positive, metavar="N", help="timings of each (default 20 on a GPU, 5 on a CPU)")
    parser.add_argument("--threads", type=positive, metavar="N", help="of the CPU (default PyTorch's own choice)")
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="processor: count this program's own time, for a CPU that has other work; for one thread (default wall)",
    )
    parser.add_argument("--matrix", type=positive, metavar="N", help="side of the matrices that give the matrix rate")
    parser.set_defaults(sizes_on_cpu=sizes_on_cpu, sizes_on_gpu=sizes_on_gpu)


def settle(options: argparse.Namespace, device: torch.device) -> None:
    """Fill in what depends on ``device``, set PyTorch's threads, and keep freed memory as the filter and the command
    line do. Raises StyleError if options contradict.
    """
    on_gpu = device.type == "cuda"
    options.sizes = options.sizes or (options.sizes_on_gpu if on_gpu else options.sizes_on_cpu)
    options.turns = options.turns or (20 if on_gpu else 5)
    options.matrix = options.matrix or MATRIX_SIDE[device.type]
    options.threads = options.threads or torch.get_num_threads()
    if options.clock == "processor" and (on_gpu or options.threads > 1):
        raise StyleError("The processor's time says how long one thread takes; add --device cpu --threads 1.")
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    # As ONNX Runtime does, and PyTorch in its convolutions.
    torch.backends.cuda.matmul.allow_tf32 = True


def positive(value: str) -> int:
    number = int(value)
    if number < 1:
        raise ValueError(value)
    return number


def numbers(value: str) -> tuple[int, ...]:
    return tuple(sorted({positive(part) for part in value.split(",")}))


def comma(values: Sequence[int]) -> str:
    return ",".join(map(str, values))


# ---- the machine ------------------------------------------------------------------------------------------------


def machine(device: torch.device, threads: int) -> str:
    """What computes, and by which versions, in a line."""
    if device.type == "cuda":
        what = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    else:
        what = f"{_processor()}, {threads} thread{'s' * (threads > 1)}"
    return f"{what}; PyTorch {torch.__version__}, ONNX Runtime {ort.__version__}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@dataclass(frozen=True)
class MatrixProduct:
    """The product of two random square matrices, whose rate is the machine's; a call computes it once."""

    side: int
    precision: str
    device: torch.device

    @property
    def flops(self) -> int:
        return 2 * self.side**3

    def work(self) -> Callable[[], object]:
        a, b = (torch.randn(self.side, self.side, device=self.device).to(DTYPES[self.precision]) for _ in range(2))
        out = torch.empty_like(a)
        return waiting(lambda: torch.mm(a, b, out=out), self.device)


def bandwidth(device: torch.device, turns: int, clock: str) -> float:
    """Bytes a second that copying a large block reads and writes."""
    source = torch.zeros(BANDWIDTH_BYTES // 4, device=device)
    target = torch.ones_like(source)
    seconds = in_turns({"copy": waiting(lambda: target.copy_(source), device)}, turns, clock)["copy"]
    return 2 * BANDWIDTH_BYTES / statistics.median(seconds)


def waiting(work: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """``work`` that returns when the device has done it."""
    if device.type != "cuda":
        return work

    def done() -> object:
        result = work()
        torch.cuda.synchronize()
        return result

    return done


# ---- time and memory --------------------------------------------------------------------------------------------


def in_turns(work: Mapping[str, Callable[[], object]], turns: int, clock: str = "wall") -> dict[str, list[float]]:
    """Seconds of each call by name: all one after the other in every turn, so that noise hits them alike.

    A turn more, the first, is not counted.
    """
    now = CLOCKS[clock]
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(turns + 1):
        for name, call in work.items():
            start = now()
            call()
            if turn:
                seconds[name].append(now() - start)
    return seconds


def ratio(seconds: Sequence[float], others: Sequence[float]) -> float:
    """The median over the turns of ``seconds`` by ``others``."""
    return statistics.median(a / b for a, b in zip(seconds, others, strict=True))


class Deadline:
    """When so many minutes are over; never, if None."""

    def __init__(self, minutes: float | None) -> None:
        self._end = math.inf if minutes is None else time.monotonic() + 60 * minutes

    def left(self) -> float | None:
        """Minutes, 0 or more; None if there is no end."""
        return None if self._end == math.inf else max(0.0, self._end - time.monotonic()) / 60

    def within(self, seconds: float = 0.0) -> bool:
        """Whether no more than ``seconds`` are left."""
        return time.monotonic() + seconds >= self._end


@dataclass(frozen=True)
class FirstCall:
    """Seconds of the first call in a process of its own, and MiB that opening and calling took there at the peak."""

    seconds: float
    mib: float


def first_call(
    device: torch.device, clock: str, opener: Callable[..., Callable[[], object]], *arguments: Any
) -> FirstCall | None:
    """Open and call once in a process of its own; None if that runs out of memory.

    ``opener`` is a function of a module, for the other process to find.
    """
    # Never forked from this one: that would take over CUDA and the memory in use here. A server that has imported what
    # takes long, and has done nothing else, is there in no time.
    served = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if served else "spawn")
    if served:
        context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, context) as pool:
        try:
            return pool.submit(_first_call, device, clock, opener, arguments).result()
        except BrokenProcessPool:
            return None  # so the system ends a process that takes too much


def _first_call(
    device: torch.device, clock: str, opener: Callable[..., Callable[[], object]], arguments: Sequence[Any]
) -> FirstCall | None:
    try:
        keep_freed_memory()
        before = _memory(device)
        call = opener(*arguments)
        start = CLOCKS[clock]()
        call()
        return FirstCall(CLOCKS[clock]() - start, _memory(device, peak=True) - before)
    except Exception as error:  # PyTorch and ONNX Runtime have their own kinds, and the latter only this base
        if out_of_memory(error):
            return None
        raise


def out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY)


def _memory(device: torch.device, peak: bool = False) -> float:
    """MiB in use: by this process or, of a GPU, by all, where no pool gives back anything before the process ends."""
    if device.type == "cuda":
        free = gpu_memory()
        return float("nan") if free is None else -free / 2**20
    return peak_rss_mib() if peak else psutil.Process().memory_info().rss / 2**20


# ---- what convolutions cost -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """Of a network's convolutions: operations (a multiplication and an addition are two), and the numbers that they
    read and write if every input, kernel and output passes once.
    """

    flops: int
    values: int


def graph_cost(model: onnx.ModelProto, height: int, width: int) -> Cost:
    """Of the ``Conv`` and ``ConvTranspose`` nodes of a graph whose one picture is [1, 3, height, width]."""
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    del sized.graph.value_info[:]
    for output in sized.graph.output:
        output.type.tensor_type.ClearField("shape")
    for dimension, extent in zip(sized.graph.input[0].type.tensor_type.shape.dim, (1, 3, height, width), strict=True):
        dimension.dim_value = extent
    # ONNX's own inference does not follow sizes that the graph computes.
    from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference  # after nst_core.base.onnx_runtime

    inferred = SymbolicShapeInference.infer_shapes(sized).graph
    known = (*inferred.value_info, *inferred.input, *inferred.output)
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in known}
    shapes |= {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    flops = values = 0
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            image, kernel, out = (shapes[name] for name in (*node.input[:2], node.output[0]))
            flops += 2 * math.prod(kernel) * math.prod((out if node.op_type == "Conv" else image)[2:])
            values += sum(map(math.prod, (image, kernel, out)))
    return Cost(flops, values)


# ---- what is written -------------------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def kept(path: Path, key: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The record in ``path`` if it was measured under this key; else a new one, written there."""
    if path.exists():
        record = json.loads(path.read_text())
        if record["key"] == key:
            return record
    record = {"key": key, **measure()}
    write(path, lambda partial: partial.write_text(json.dumps(record, indent=1)))
    return record


def write(path: Path, content: Callable[[Path], object]) -> None:
    """Have ``content`` write ``path``, whole or not at all. Raises StyleError if it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            content(partial)
    except OSError as error:
        raise StyleError(f"{path} cannot be written ({error.strerror}); mend that or choose another place.") from error
