"""Measure how soon the network of another style learns a new one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.gpu.full_training import LINE_SECONDS, read_training_record, training_settings
from benchmarks.gpu.gpu_options import GpuOptions
from benchmarks.iterative.race import time_to
from benchmarks.measuring.record_files import Record, markdown_table, read_json, write_json
from benchmarks.measuring.timing import Deadline
from benchmarks.quality.style_subjects import StyleSubject, read_subjects
from export.from_onnx import read_starting_network
from nst_core.base.training_settings import TrainingIntervals
from nst_core.fast.starting_network import StartingNetwork, nearest_start
from nst_core.fast.train import Training, TrainingData, TrainProgress
from nst_core.fast.training_checkpoint import load_training
from nst_core.fast.transformer import TransformerNetwork, paint_every_row
from nst_core.losses.metrics import SMALLEST_METRIC_SIDE
from nst_core.pictures.arrays import as_tensor
from nst_core.pictures.photos import Photos
from nst_core.pictures.resize import resized_to_long_side
from nst_core.style_file import Style
from plugin.engine.fast.style_library import find_styles
from plugin.engine.training.device_tuning import photos_for
from plugin.engine.training.sample_photo import read_sample_photo
from plugin.engine.training.style_training import bundled_networks

HELD_OUT = 8  # photos that the objective is computed for
LEARNED = 1.1  # times the objective at the full budget: a new style at or below this counts as learned


def train_new_styles(options: GpuOptions, deadline: Deadline) -> bool:
    """Train each of ``options.new_style`` as if it were new; return whether all are trained.

    A training starts with the nearest of the other bundled styles. Its paintings of held-out photos are judged by their
    mean objective. It has learned the style once that is at most LEARNED times the objective of the fully trained
    network, which is in OUT or otherwise the bundled one. The time of judging does not count.
    """
    records: list[Record] = read_json(options.new_style_file) or []
    for style in (style for name in options.new_style for style in find_styles(name)):
        if style.name in [record["name"] for record in records]:
            continue
        if deadline.reached(60 * options.new_style_minutes + LINE_SECONDS):
            return False
        records.append(_train_new_style(style, options))
        write_json(options.new_style_file, records)
    return True


class _ObjectiveCurve:
    """The objective over the time of a training. The clock, which starts at once, stops while it is computed."""

    def __init__(self, objective: Callable[[Tensor], float], device: torch.device) -> None:
        self._objective, self._device = objective, device
        self._start, self._judging = time.monotonic(), 0.0
        self.seconds: list[float] = []
        self.losses: list[float] = []

    def elapsed(self) -> float:
        return time.monotonic() - self._start - self._judging

    def add(self, step: TrainProgress) -> bool:
        """Note the objective wherever the training shows its paintings; return True, so it continues."""
        if step.paintings is not None:
            if self._device.type == "cuda":
                torch.cuda.synchronize()
            paused = time.monotonic()
            self.seconds.append(self.elapsed())
            self.losses.append(self._objective(step.paintings[0]))
            self._judging += time.monotonic() - paused
        return True


def _train_new_style(style: Style, options: GpuOptions) -> Record:
    """Train one style and return its record."""
    subject = read_subject(style, options)
    device = subject.painting.device
    reference, full_steps = _fully_trained_network(style, options)
    settings = replace(training_settings(style, options), steps=0, minutes=options.new_style_minutes)
    photos = Photos(options.held_out_photos, SMALLEST_METRIC_SIDE).batch(0, HELD_OUT, settings.crop, 0).to(device)
    objective = subject.objective_function(photos)
    full_objective = objective(paint_every_row(reference.to(device), photos)[0])
    others = [network for network in bundled_networks(settings.network) if style.name not in network.names]
    curve = _ObjectiveCurve(objective, device)
    source = photos_for(options.training_photos, settings.crop, device)
    base = _nearest_of(others, subject)
    intervals = TrainingIntervals(options.judged_every, options.judged_every)
    with tempfile.TemporaryDirectory() as folder:
        data = TrainingData([subject.painting], source, subject.features, base, photos)
        checkpoint = Training(data, settings, Path(folder) / "new.checkpoint", intervals).run(curve.add)
    seconds = curve.elapsed()
    last_objective = objective(paint_every_row(checkpoint.network, photos)[0])
    first_objective = _first_objective(base, objective, photos)
    whole = {
        "seconds": [0.0, *curve.seconds, seconds],
        "losses": [first_objective, *curve.losses, last_objective],
    }
    return {
        "name": style.name,
        "title": style.title,
        "started_from": base.title,
        "steps": checkpoint.step,
        "seconds": seconds,
        "full_steps": full_steps,
        "full_objective": full_objective,
        "first_objective": first_objective,
        "last_objective": last_objective,
        "seconds_to_within": time_to(whole, LEARNED * full_objective),
        "curve": whole,
    }


def _nearest_of(networks: Sequence[StartingNetwork], subject: StyleSubject) -> StartingNetwork:
    """Return the network whose painting of the sample photo is nearest to the subject's style."""
    sample = resized_to_long_side(as_tensor(read_sample_photo()).float() / 255, 256)
    photo = sample.to(subject.painting.device)
    return nearest_start(networks, [subject.painting], photo, subject.features, subject.settings)


def _first_objective(base: StartingNetwork, objective: Callable[[Tensor], float], photos: Tensor) -> float:
    """Return the objective of the network that a training starts with, in the nearest of its styles."""
    (style,) = base.styles or ()
    rows_per_style = base.network.settings.rows_per_style
    bold = rows_per_style * (style + 1) - 1
    return objective(paint_every_row(base.network.to(photos.device), photos)[bold])


def _fully_trained_network(style: Style, options: GpuOptions) -> tuple[TransformerNetwork, int]:
    """Return the network trained in OUT, or otherwise the bundled one, and the steps that it has learned in all."""
    if read_training_record(options, style).get("done"):
        checkpoint = load_training(options.trained_styles / f"{style.name}.checkpoint")
        return checkpoint.network, checkpoint.step + checkpoint.earlier_steps
    base = read_starting_network(style.path)
    return base.network, base.steps


def read_subject(style: Style, options: GpuOptions) -> StyleSubject:
    """Read everything that a style was trained with."""
    (subject,) = read_subjects(replace(options.subjects, styles=[str(style.path)]))
    return subject


def new_style_table(records: Sequence[Record]) -> str:
    """Format a row for each new style."""
    rows = []
    for r in records:
        learned = "not yet" if r["seconds_to_within"] is None else f"{r['seconds_to_within']:.0f}"
        objectives = [f"{r[key]:.3f}" for key in ("full_objective", "first_objective", "last_objective")]
        rows.append([r["title"], r["started_from"], *objectives, f"{r['seconds']:.0f}", learned])
    head = ["style", "starts as", "full budget", "first", "last", "seconds", f"seconds to {LEARNED:g} of full budget"]
    return markdown_table(head, rows)
