"""Time training steps with different numbers of pictures, and on a GPU a compiled one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.gpu.full_training import TRAINING_PICTURES, run_training, training_request
from benchmarks.gpu.gpu_options import GpuOptions, chosen_styles
from benchmarks.measuring.record_files import Record, markdown_table, read_json, write_json
from benchmarks.measuring.timing import Deadline
from nst_core.devices import choose_device
from nst_core.fast.train import TrainProgress

WARM_UP_STEPS = 20  # in which cuDNN tries which algorithms are fastest


def measure_pace(options: GpuOptions, deadline: Deadline) -> bool:
    """Time a step with each number of pictures, and on a GPU a compiled one; return whether all are timed."""
    on_gpu = choose_device(options.device).type == "cuda"
    records: list[Record] = read_json(options.pace_file) or []
    variants = [(batch, False) for batch in options.pace_batches] + [(options.batch, True)] * on_gpu
    for batch, compiled in variants[len(records) :]:
        if deadline.reached():
            return False
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        record = {"batch": batch, "compiled": compiled, **_time_steps(batch, compiled, options)}
        records.append(record | {"gib": torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None})
        write_json(options.pace_file, records)
    return True


def _time_steps(batch: int, compiled: bool, options: GpuOptions) -> Record:
    """Return the seconds of a step, and the seconds until the first report."""
    reports: list[tuple[int, float]] = []

    def progress(step: TrainProgress) -> bool:
        reports.append((step.step, time.monotonic()))
        return step.step < options.pace_steps

    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        request = training_request(chosen_styles(options)[0], Path(folder) / "pace.onnx", options)
        settings = replace(request.settings, batch=batch, steps=TRAINING_PICTURES, minutes=None)
        run_training(replace(request, settings=settings, compiled=compiled), progress)
    warm = [report for report in reports if report[0] >= min(WARM_UP_STEPS, options.pace_steps // 2)]
    (first_step, first_time), (last_step, last_time) = warm[0], warm[-1]
    return {
        "seconds": (last_time - first_time) / max(1, last_step - first_step),
        "until_first": reports[0][1] - start,
    }


def pace_table(records: Sequence[Record]) -> str:
    """Format a row for each number of pictures."""
    rows = []
    for r in records:
        times = [f"{1000 * r['seconds']:.1f}", f"{r['batch'] / r['seconds']:,.0f}", f"{r['until_first']:.0f}"]
        memory = "" if r["gib"] is None else f"{r['gib']:.1f}"
        rows.append([f"{r['batch']}{', compiled' * r['compiled']}", *times, memory])
    head = ["pictures a step", "ms a step", "pictures a second", "seconds before", "memory, GiB"]
    return markdown_table(head, rows)
