"""Train the bundled styles at their full budget.

The results are in OUT/styles: for each style a checkpoint, its losses, a preview, and a record of its seconds. An
existing checkpoint is resumed. A finished one keeps a third of its size: it loses the optimiser's state.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.gpu.gpu_options import GpuOptions, chosen_styles
from benchmarks.measuring.record_files import Record, markdown_table, read_json, write_json
from benchmarks.measuring.timing import Deadline
from benchmarks.quality.style_subjects import features_source, training_settings_of
from nst_core.base.training_settings import TrainSettings, with_faithful_row
from nst_core.fast.train import TrainProgress
from nst_core.fast.training_checkpoint import TrainingCheckpoint, save_training
from nst_core.pictures.photos import read_photo_names
from nst_core.style_file import Style
from plugin.cli.picture_files import read_picture
from plugin.engine.training.style_training import TrainingRequest, train_network

TRAINING_PICTURES = 160_000  # that a style is trained with: 40 000 steps of four
# The faces that benchmarks.find_faces found in the training photos, except in photos that styles are judged by.
FACES = Path(__file__).with_name("faces.json")
LINE_SECONDS = 15  # between two lines of progress


def training_settings(style: Style, options: GpuOptions) -> TrainSettings:
    """Return the settings that the style was trained with, at the budget and batch of the options, in bfloat16.

    A style with one row gets a faithful one too.
    """
    settings = training_settings_of(style)
    return replace(
        settings if settings.faithful else with_faithful_row(settings),
        steps=options.steps or -(-TRAINING_PICTURES // options.batch),
        minutes=options.minutes_a_style,
        batch=options.batch,
        crop=options.crop,
        mixed_precision=True,
    )


def train_styles(options: GpuOptions, deadline: Deadline) -> bool:
    """Train one style after another, each from its bundled network; return whether all are finished."""
    for style in chosen_styles(options):
        record = read_training_record(options, style)
        if record.get("done"):
            continue
        if deadline.reached():
            return False
        if not _train_style(style, record, options, deadline):
            return False
    return True


def _train_style(style: Style, record: Record, options: GpuOptions, deadline: Deadline) -> bool:
    """Train until the style is finished or the deadline is reached; return whether it is finished."""
    start = last_report = time.monotonic()
    options.trained_styles.mkdir(parents=True, exist_ok=True)
    request = training_request(style, options.trained_styles / f"{style.name}.onnx", options)

    def progress(step: TrainProgress) -> bool:
        nonlocal last_report
        if time.monotonic() - last_report > LINE_SECONDS:
            last_report = time.monotonic()
            print(f"{style.name}: {step.step} of {step.steps} steps, loss {step.losses['total']:.3f}", flush=True)
        return not deadline.reached()

    checkpoint, report = run_training(request, progress)
    finished = bool(checkpoint.settings.steps) and checkpoint.step >= checkpoint.settings.steps
    record = {
        "title": style.title,
        "done": finished,
        "steps": checkpoint.step,
        "of": checkpoint.settings.steps,
        "batch": checkpoint.settings.batch,
        "seconds": record.get("seconds", 0.0) + time.monotonic() - start,
        "started_from": report["started_from"],
        "loss": _final_loss(Path(report["losses"])),
    }
    write_json(_record_file(options, style), record)
    if finished:  # two thirds of the file are needed only to continue
        save_training(checkpoint.with_styles([0]), request.checkpoint)
    return finished


def training_request(style: Style, output: Path, options: GpuOptions) -> TrainingRequest:
    """Return a training towards the style's painting that starts with the style's own network."""
    judged_by = options.portraits
    features, pooling = features_source(style.trained["feature_network"], options.subjects.weights)
    return TrainingRequest(
        [read_picture(options.subjects.painting_of(style)).picture],
        options.training_photos,
        output,
        training_settings(style, options),
        features=features,
        pooling=pooling,
        device=options.device,
        start=style.path,
        faces=FACES if judged_by.exists() else None,
        left_out=frozenset(read_photo_names(judged_by)) if judged_by.exists() else frozenset(),
        compiled=options.compiled,
    )


def run_training(
    request: TrainingRequest, progress: Callable[[TrainProgress], bool]
) -> tuple[TrainingCheckpoint, dict[str, Any]]:
    """Train without announcing the stages before the first step."""
    return train_network(request, progress, lambda stage, fraction: None)


def _record_file(options: GpuOptions, style: Style) -> Path:
    return options.trained_styles / f"{style.name}.json"


def read_training_record(options: GpuOptions, style: Style) -> Record:
    """Return the record of a style's training; empty if there is none."""
    return read_json(_record_file(options, style)) or {}


def _final_loss(losses: Path) -> float | None:
    """Return the mean total loss over the last twentieth of a table of losses; None if there is none."""
    rows = [row.split(",") for row in losses.read_text().splitlines()] if losses.exists() else []
    if len(rows) < 2:
        return None
    column = rows[0].index("total")
    last = rows[1:][-max(1, len(rows) // 20) :]
    return statistics.fmean(float(row[column]) for row in last)


def training_table(options: GpuOptions) -> str:
    """Format a row for each style that has been trained."""
    rows = []
    for style in chosen_styles(options):
        if record := read_training_record(options, style):
            steps = f"{record['steps']:,}" + ("" if record["done"] else f" of {record['of']:,}")
            each = f"{1000 * record['seconds'] / max(1, record['steps']):.1f}"
            loss = "" if record["loss"] is None else f"{record['loss']:.3f}"
            rows.append([style.title, steps, f"{record['batch']}", f"{record['seconds']:,.0f}", each, loss])
    return markdown_table(["style", "steps", "pictures a step", "seconds", "ms a step", "loss"], rows)
