"""Build the benchmarks' command lines, turn the common options into settings, and report errors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from benchmarks.measuring.machine import MATRIX_SIDE
from benchmarks.measuring.timing import CLOCKS
from nst_core.base.device_names import DEVICES
from nst_core.base.errors import StyleError
from plugin.engine.machine.memory import keep_freed_memory


@contextmanager
def exit_on_error(benchmark: str) -> Iterator[None]:
    """Turn a StyleError into one sentence and exit code 2, and Ctrl-C into another and exit code 130."""
    try:
        yield
    except StyleError as error:
        print(f"{benchmark}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{benchmark}: stopped.", file=sys.stderr)
        sys.exit(130)


def new_parser(benchmark: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser for ``python -m benchmarks.BENCHMARK`` with a description printed as it is."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks.{benchmark}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


@dataclass(frozen=True)
class TimingOptions:
    """The common options as given; None stands for a default that depends on the device."""

    sizes: tuple[int, ...] | None
    turns: int | None
    threads: int | None
    clock: str
    matrix: int | None
    sizes_on_cpu: tuple[int, ...]
    sizes_on_gpu: tuple[int, ...]


@dataclass(frozen=True)
class TimingSettings:
    """What is timed and how.

    Attributes:
        sizes: sides of the pictures in pixels.
        turns: how often each call is timed.
        threads: of the CPU.
        clock: a key of CLOCKS.
        matrix: the side of the matrices whose product gives the matrix rate.
    """

    device: torch.device
    sizes: tuple[int, ...]
    turns: int
    threads: int
    clock: str
    matrix: int


def add_timing_options(
    parser: argparse.ArgumentParser, sizes_on_cpu: tuple[int, ...], sizes_on_gpu: tuple[int, ...]
) -> None:
    """Add the options of every benchmark that times something; ``read_timing_options`` reads them."""
    parser.add_argument(
        "--sizes",
        type=numbers,
        metavar="N,N,...",
        help=f"sides in pixels (default {join_numbers(sizes_on_gpu)} on a GPU, {join_numbers(sizes_on_cpu)} on a CPU)",
    )
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument(
        "--turns", type=positive, metavar="N", help="how often each call is timed (default 20 on a GPU, 5 on a CPU)"
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="CPU threads (default: PyTorch's choice)")
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="cpu: count only this program's CPU time, for a busy CPU; needs one thread (default wall)",
    )
    parser.add_argument(
        "--matrix", type=positive, metavar="N", help="side of the matrices whose product gives the matrix rate"
    )
    parser.set_defaults(sizes_on_cpu=sizes_on_cpu, sizes_on_gpu=sizes_on_gpu)


def read_timing_options(options: argparse.Namespace) -> TimingOptions:
    """Return the parsed options that ``add_timing_options`` added, without the device."""
    return TimingOptions(**{name: getattr(options, name) for name in TimingOptions.__dataclass_fields__})


def prepare_timing(options: TimingOptions, device: torch.device) -> TimingSettings:
    """Fill in the defaults for ``device``, and set up this process like the filter and the command line.

    Sets PyTorch's threads and allows TensorFloat-32 in matrix products. Raises StyleError if options contradict.
    """
    on_gpu = device.type == "cuda"
    timing = TimingSettings(
        device=device,
        sizes=options.sizes or (options.sizes_on_gpu if on_gpu else options.sizes_on_cpu),
        turns=options.turns or (20 if on_gpu else 5),
        threads=options.threads or torch.get_num_threads(),
        clock=options.clock,
        matrix=options.matrix or MATRIX_SIDE[device.type],
    )
    if timing.clock == "cpu" and (on_gpu or timing.threads > 1):
        raise StyleError("CPU time measures a single thread; add --device cpu --threads 1.")
    torch.set_num_threads(timing.threads)
    keep_freed_memory()
    # ONNX Runtime allows it too, and so does PyTorch in its convolutions.
    torch.backends.cuda.matmul.allow_tf32 = True
    return timing


def positive(value: str) -> int:
    """Parse a positive integer. Raises ValueError for anything else."""
    number = int(value)
    if number < 1:
        raise ValueError(value)
    return number


def numbers(value: str) -> tuple[int, ...]:
    """Parse positive integers separated by commas; return them sorted, each once. Raises ValueError for others."""
    return tuple(sorted({positive(part) for part in value.split(",")}))


def names(value: str) -> tuple[str, ...]:
    """Parse names separated by commas."""
    return tuple(value.split(","))


def join_numbers(values: Sequence[int]) -> str:
    """Join numbers with commas."""
    return ",".join(map(str, values))
