"""Train and measure everything that only an NVIDIA GPU can show, in one command that can be interrupted.

    python -m benchmarks.gpu OUT ASSETS --minutes 9

ASSETS holds weights/, photos/ and styles/ like the tests' NEURAL_STYLE_ASSETS. OUT gets gpu.md, with the tables, and
gpu.json. Each part keeps its results in a folder or file of its own, and a finished part is not repeated. After
--minutes the command starts nothing new and stops a training; given again, it continues. See docs/gpu.md.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.gpu.full_training import TRAINING_PICTURES
from benchmarks.gpu.gpu_options import GpuOptions
from benchmarks.gpu.gpu_report import gpu_report
from benchmarks.gpu.parts import GPU_PARTS
from benchmarks.measuring.command import exit_on_error, names, new_parser, numbers, positive
from benchmarks.measuring.machine import describe_machine
from benchmarks.measuring.record_files import Record, read_json, write_json, write_text
from benchmarks.measuring.timing import Deadline
from benchmarks.quality.quality_command import add_style_options
from nst_core.base.device_names import DEVICES
from nst_core.base.errors import StyleError
from nst_core.devices import choose_device


@exit_on_error("gpu")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; exit with 1 if a part fails."""
    options = parse(arguments)
    for part in options.parts:
        if part not in GPU_PARTS:
            raise StyleError(f"There is no part {part!r}; choose from {', '.join(GPU_PARTS)}.")
    deadline = Deadline(options.minutes)
    device = choose_device(options.device)
    state: Record = read_json(options.out / "gpu.json") or {"seconds": {}, "whole": {}, "failed": {}}
    if device.type == "cuda" or "machine" not in state:  # parts that need no GPU may run elsewhere later
        state["machine"] = describe_machine(device, torch.get_num_threads())
    for part in options.parts:
        _run_part(part, options, deadline, state)
        write_json(options.out / "gpu.json", state)
        write_text(options.out / "gpu.md", gpu_report(state, options))
    if state["failed"].keys() & set(options.parts):
        sys.exit(1)


def _run_part(part: str, options: GpuOptions, deadline: Deadline, state: Record) -> None:
    """Run one part, note its time and its outcome in ``state``, and print them."""
    start = time.monotonic()
    state["failed"].pop(part, None)
    try:
        state["whole"][part] = GPU_PARTS[part](options, deadline)
    except Exception as error:  # the other parts still run: they may not get a GPU again soon
        state["failed"][part] = str(error) if isinstance(error, StyleError) else repr(error)
        traceback.print_exc()
    seconds = time.monotonic() - start
    state["seconds"][part] = state["seconds"].get(part, 0.0) + seconds
    print(f"{part}: {seconds:.0f} s, {_outcome(state, part)}", flush=True)


def _outcome(state: Record, part: str) -> str:
    if part in state["failed"]:
        return f"failed: {state['failed'][part]}"
    return "done" if state["whole"][part] else "unfinished; give the same command again to continue"


def parse(arguments: Sequence[str] | None = None) -> GpuOptions:
    """Parse the command line."""
    given = vars(_parser().parse_args(arguments))
    return GpuOptions(**given | {"painting": dict(given["painting"])})


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("gpu", __doc__)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("assets", type=Path, metavar="ASSETS")
    parser.add_argument("--minutes", type=float, help="stop after this time (default when everything is done)")
    parser.add_argument(
        "--parts",
        type=names,
        default=tuple(GPU_PARTS),
        metavar="PART,...",
        help=f"which, and in which order (default {','.join(GPU_PARTS)})",
    )
    add_style_options(parser)
    parser.add_argument("--device", choices=DEVICES, default="auto")
    _add_training_options(parser)
    _add_measuring_options(parser)
    return parser


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    # An estimate for a GPU of 3 to 5 TB/s: a picture moves a gigabyte, mostly in VGG-19's first two blocks, forward and
    # backward for the loss and forward for the content target, and takes 60 GFLOP: a third to half a millisecond. A
    # step launches about 1 600 kernels, for which a CPU needs some 10 ms: with fewer than 16 pictures a step the GPU
    # would wait. So a style's 160 000 pictures take 60 to 110 seconds, and the twelve styles 12 to 22 minutes.
    parser.add_argument("--batch", type=positive, default=16, help="pictures in a training step (default 16)")
    parser.add_argument(
        "--steps", type=positive, help=f"for each style (default as many as {TRAINING_PICTURES:,} pictures take)"
    )
    parser.add_argument("--minutes-a-style", type=float, help="a budget for each style, in place of --steps")
    parser.add_argument("--crop", type=positive, default=256, help="side of these pictures in pixels (default 256)")
    parser.add_argument("--compiled", action="store_true", help="let PyTorch compile the networks of each training")
    parser.add_argument(
        "--pace-batches",
        type=numbers,
        default=(4, 8, 16, 32),
        metavar="N,N,...",
        help="pictures in each timed training step (default 4,8,16,32)",
    )
    parser.add_argument("--pace-steps", type=positive, default=80, help="steps of each timed training (default 80)")
    parser.add_argument(
        "--new-style",
        type=names,
        default=("starry-night", "la-muse"),
        metavar="NAME,...",
        help="styles to train as if they were new (default starry-night,la-muse)",
    )
    parser.add_argument("--new-style-minutes", type=float, default=1.0, help="budget for each of them (default 1)")
    parser.add_argument(
        "--judged-every", type=positive, default=100, help="steps between two judgements of such a style (default 100)"
    )


def _add_measuring_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", type=numbers, metavar="N,N,...", help="of pictures (default each part's own)")
    parser.add_argument("--iterations", type=positive, help="of renders (default each part's own)")
    parser.add_argument("--turns", type=positive, help="how often each call is timed (default each part's own)")
    parser.add_argument("--matrix", type=positive, help="side of the matrices whose product gives the matrix rate")
    parser.add_argument("--features", metavar="SOURCE", help="compact's teacher and judge (default those of ASSETS)")
    parser.add_argument("--photos", type=positive, default=24, help="held-out photos for comparisons (default 24)")
