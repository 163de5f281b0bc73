"""List the parts of the GPU benchmark.

Each part continues with what is in OUT and returns whether it is finished.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from benchmarks.gpu.compact_training import train_compact
from benchmarks.gpu.full_training import train_styles
from benchmarks.gpu.gpu_options import SHORT_PART_SECONDS, GpuOptions
from benchmarks.gpu.new_styles import train_new_styles
from benchmarks.gpu.provider_fallback import check_fallback
from benchmarks.gpu.style_comparison import compare_styles
from benchmarks.gpu.training_pace import measure_pace
from benchmarks.inference import inference_command
from benchmarks.iterative import iterative_command
from benchmarks.measuring.timing import Deadline

ITERATIVE_SIZES = (512, 1024, 2048)


def measure_inference(options: GpuOptions, deadline: Deadline) -> bool:
    """Run ``benchmarks.inference`` into OUT/inference."""
    arguments = [str(options.out / "inference"), *options.arguments("device", "sizes", "turns", "matrix")]
    if options.style:
        arguments += ["--style", options.style[0]]
    inference_options = replace(inference_command.parse(arguments), minutes=deadline.minutes_left())
    whole: bool = inference_command.run(inference_options)["whole"]
    return whole


def measure_iterative(options: GpuOptions, deadline: Deadline) -> bool:
    """Run ``benchmarks.iterative`` into OUT/iterative-SIZE for each size."""
    for size in options.sizes or ITERATIVE_SIZES:
        out = options.out / f"iterative-{size}"
        if (out / "iterative.json").exists():
            continue
        if deadline.reached(SHORT_PART_SECONDS):
            return False
        arguments = [str(out), str(options.assets), "--size", str(size), "--sizes", str(size)]
        more = options.arguments("device", "turns", "matrix", "iterations", "features")
        iterative_command.run(iterative_command.parse([*arguments, *more]))
    return True


GPU_PARTS: dict[str, Callable[[GpuOptions, Deadline], bool]] = {
    "pace": measure_pace,
    "train": train_styles,
    "inference": measure_inference,
    "compact": train_compact,
    "iterative": measure_iterative,
    "new-style": train_new_styles,
    "fall-back": check_fallback,
    "compare": compare_styles,
}
