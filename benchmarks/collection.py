"""The bundled styles trained at their full budget: how long that takes, and what it gives.

What is trained lies in OUT/styles: for each style a checkpoint, its losses, a preview, and a record of its seconds. A
checkpoint that is there goes on, and one that is done loses the optimiser's state, a third of it stays.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks import quality
from benchmarks.iterative import time_to
from benchmarks.quality import PAINTINGS, Subject
from benchmarks.yardstick import Deadline, table, write
from export.from_onnx import read_starting_network
from nst_core.base.training_settings import TrainingIntervals, TrainSettings
from nst_core.devices import choose_device
from nst_core.fast.starting_network import nearest_start
from nst_core.fast.train import Training, TrainingData, TrainProgress
from nst_core.fast.training_checkpoint import load_training, save_training
from nst_core.fast.transformer import TransformerNetwork, paint_every_style
from nst_core.losses.metrics import SMALLEST_METRIC_SIDE, checkerboard
from nst_core.losses.objective import Objective
from nst_core.pictures.arrays import as_tensor
from nst_core.pictures.photos import Photos
from nst_core.pictures.resize import resized_to_long_side
from nst_core.style_file import Style, StyleCard, read_styles
from plugin.cli.picture_files import read_picture
from plugin.engine.fast.style_library import find_styles
from plugin.engine.training.device_tuning import photos_for
from plugin.engine.training.sample_photo import read_sample_photo
from plugin.engine.training.style_export import export_checkpoint
from plugin.engine.training.style_training import TrainingRequest, bundled_networks, train_network

PICTURES = 160_000  # that a style learns from: 40 000 steps of four
PACE_BATCHES = (4, 8, 16, 32)
PACE_STEPS = 80
PACE_WARM_UP = 20  # steps, in which cuDNN tries what is fastest
HELD_OUT = 8  # photos by which the objective is told
WITHIN = 1.1  # of the objective at the full budget: when a new style counts as learned
JUDGED_EVERY = 100  # steps of a new style
TOLD_EVERY = 15  # seconds
SHEET_SIDE = 384  # longer side of each picture of a comparison in pixels

Record = dict[str, Any]


# ---- training ---------------------------------------------------------------------------------------------------


def chosen_styles(options: argparse.Namespace) -> list[Style]:
    """Those that were asked for, else all bundled ones, the Great Wave first."""
    return [style for name in options.style or PAINTINGS for style in find_styles(name)]


def settings_for(style: Style, options: argparse.Namespace) -> TrainSettings:
    """Those that the style was trained with, at the budget and the batch of the options, and in bfloat16."""
    return replace(
        quality.trained_with(style),
        steps=options.steps or -(-PICTURES // options.batch),
        minutes=options.minutes_a_style,
        batch=options.batch,
        crop=options.crop,
        mixed_precision=True,
    )


def train_styles(options: argparse.Namespace, deadline: Deadline) -> bool:
    """Train one style after the other, each beginning with its bundled network; whether all of them are done."""
    for style in chosen_styles(options):
        record = read_record(options, style)
        if record.get("done"):
            continue
        if deadline.within():
            return False
        if not train_style(style, record, options, deadline):
            return False
    return True


def train_style(style: Style, record: Record, options: argparse.Namespace, deadline: Deadline) -> bool:
    """Train until it is done or time is up; whether it is done. Its record is kept up to date."""
    output = folder(options) / f"{style.name}.onnx"
    output.parent.mkdir(parents=True, exist_ok=True)
    begun = told = time.monotonic()
    first = 0

    def progress(step: TrainProgress) -> bool:
        nonlocal told, first
        first = first or step.step
        if time.monotonic() - told > TOLD_EVERY:
            told = time.monotonic()
            print(f"{style.name}: {step.step} of {step.steps} steps, loss {step.losses['total']:.3f}", flush=True)
        return not deadline.within()

    done, report = network_of(style, output, settings_for(style, options), progress, options, options.compiled)
    complete = bool(done.settings.steps) and done.step >= done.settings.steps
    seconds = record.get("seconds", 0.0) + time.monotonic() - begun
    record = {
        "title": style.title,
        "done": complete,
        "steps": done.step,
        "of": done.settings.steps,
        "batch": done.settings.batch,
        "seconds": seconds,
        "started_from": report["started_from"],
        "loss": final_loss(Path(report["losses"])),
    }
    write(record_file(options, style), lambda path: path.write_text(json.dumps(record, indent=1)))
    if complete:  # what only a training that goes on needs is two thirds of the file
        save_training(done.with_styles([0]), output.with_suffix(".checkpoint"))
    return complete


def network_of(
    style: Style,
    output: Path,
    settings: TrainSettings,
    progress: Callable[[TrainProgress], bool],
    options: argparse.Namespace,
    compiled: bool = False,
) -> Any:
    """``train_network`` towards the style's painting, from the style's own network on."""
    features, pooling = quality.features_named(style.trained["feature_network"], options.assets / "weights")
    request = TrainingRequest(
        [read_picture(quality.painting_of(style, options)).picture],
        options.assets / "photos" / "train" / "train.tar",
        output,
        settings,
        features=features,
        pooling=pooling,
        device=options.device,
        start=style.path,
        compiled=compiled,
    )
    return train_network(request, progress, lambda stage, fraction: None)


def folder(options: argparse.Namespace) -> Path:
    return options.out / "styles"


def record_file(options: argparse.Namespace, style: Style) -> Path:
    return folder(options) / f"{style.name}.json"


def read_record(options: argparse.Namespace, style: Style) -> Record:
    """What is known of a style's training; empty if nothing is."""
    file = record_file(options, style)
    return json.loads(file.read_text()) if file.exists() else {}


def final_loss(losses: Path) -> float | None:
    """The mean total over the last twentieth of a table of losses; None if there is none."""
    rows = [row.split(",") for row in losses.read_text().splitlines()] if losses.exists() else []
    if len(rows) < 2:
        return None
    column = rows[0].index("total")
    last = rows[1:][-max(1, len(rows) // 20) :]
    return statistics.fmean(float(row[column]) for row in last)


def training_table(options: argparse.Namespace) -> str:
    rows = []
    for style in chosen_styles(options):
        if record := read_record(options, style):
            steps = f"{record['steps']:,}" + ("" if record["done"] else f" of {record['of']:,}")
            each = f"{1000 * record['seconds'] / max(1, record['steps']):.1f}"
            loss = "" if record["loss"] is None else f"{record['loss']:.3f}"
            rows.append([style.title, steps, f"{record['batch']}", f"{record['seconds']:,.0f}", each, loss])
    return table(["style", "steps", "pictures a step", "seconds", "ms a step", "loss"], rows)


# ---- its pace ---------------------------------------------------------------------------------------------------


def pace(options: argparse.Namespace, deadline: Deadline) -> bool:
    """How long a step takes by the number of pictures in it, and on a GPU compiled; into OUT/pace.json."""
    file, on_gpu = options.out / "pace.json", choose_device(options.device).type == "cuda"
    found: list[Record] = json.loads(file.read_text()) if file.exists() else []
    ways = [(batch, False) for batch in options.pace_batches] + [(options.batch, True)] * on_gpu
    for batch, compiled in ways[len(found) :]:
        if deadline.within():
            return False
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        record = {"batch": batch, "compiled": compiled, **timed_steps(batch, compiled, options)}
        found.append(record | {"gib": torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None})
        write(file, lambda path: path.write_text(json.dumps(found, indent=1)))
    return True


def timed_steps(batch: int, compiled: bool, options: argparse.Namespace) -> Record:
    """Seconds of a step, and until the first ones are reported."""
    style, moments = chosen_styles(options)[0], list[tuple[int, float]]()

    def progress(step: TrainProgress) -> bool:
        moments.append((step.step, time.monotonic()))
        return step.step < options.pace_steps

    settings = replace(settings_for(style, options), batch=batch, steps=PICTURES, minutes=None)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as made:
        network_of(style, Path(made) / "pace.onnx", settings, progress, options, compiled)
    warm = [moment for moment in moments if moment[0] >= min(PACE_WARM_UP, options.pace_steps // 2)]
    (first, since), (last, until) = warm[0], warm[-1]
    return {"seconds": (until - since) / max(1, last - first), "until_first": moments[0][1] - begun}


def pace_table(found: Sequence[Record]) -> str:
    rows = []
    for r in found:
        times = [f"{1000 * r['seconds']:.1f}", f"{r['batch'] / r['seconds']:,.0f}", f"{r['until_first']:.0f}"]
        memory = "" if r["gib"] is None else f"{r['gib']:.1f}"
        rows.append([f"{r['batch']}{', compiled' * r['compiled']}", *times, memory])
    head = ["pictures a step", "ms a step", "pictures a second", "seconds before", "memory, GiB"]
    return table(head, rows)


# ---- a new style ------------------------------------------------------------------------------------------------


def new_styles(options: argparse.Namespace, deadline: Deadline) -> bool:
    """How soon a style is learned by a network of the others; into OUT/new-style.json.

    The network begins with the nearest of the other bundled styles. It is judged by the mean objective of its paintings
    of held-out photos, and is there once that is within WITHIN of what the network has that was trained in full (in
    OUT, else the bundled one). Judging does not count.
    """
    file = options.out / "new-style.json"
    found: list[Record] = json.loads(file.read_text()) if file.exists() else []
    for style in (style for name in options.new_style for style in find_styles(name)):
        if style.name in [record["name"] for record in found]:
            continue
        if deadline.within(60 * options.new_style_minutes + TOLD_EVERY):
            return False
        found.append(learned_anew(style, options))
        write(file, lambda path: path.write_text(json.dumps(found, indent=1)))
    return True


def learned_anew(style: Style, options: argparse.Namespace) -> Record:
    """The record of one of ``new_styles``."""
    subject = subject_of(style, options)
    device = subject.painting.device
    reference, steps = trained_network(style, options)
    settings = replace(settings_for(style, options), steps=0, minutes=options.new_style_minutes)
    held_out = Photos(options.assets / "photos" / "holdout.tar", SMALLEST_METRIC_SIDE)
    photos = held_out.batch(0, HELD_OUT, settings.crop, 0).to(device)
    judge = judged(subject, photos)
    full = judge(paint_every_style(reference.to(device), photos)[0])
    others = [base for base in bundled_networks(settings.network) if style.name not in base.names]
    started = time.monotonic()
    source = photos_for(options.assets / "photos" / "train" / "train.tar", settings.crop, device)
    curve: Record = {"seconds": [], "losses": []}
    sample = resized_to_long_side(as_tensor(read_sample_photo()).float() / 255, 256)
    base = nearest_start(others, [subject.painting], sample.to(device), subject.features, settings)
    judging = 0.0

    def progress(step: TrainProgress) -> bool:
        nonlocal judging
        if step.paintings is not None:
            if device.type == "cuda":
                torch.cuda.synchronize()
            begun = time.monotonic()
            curve["seconds"].append(begun - started - judging)
            curve["losses"].append(judge(step.paintings[0]))
            judging += time.monotonic() - begun
        return True

    every = options.judged_every
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "new.checkpoint"
        data = TrainingData([subject.painting], source, subject.features, base, photos)
        done = Training(data, settings, path, TrainingIntervals(every, every)).run(progress)
    seconds, last = time.monotonic() - started - judging, judge(paint_every_style(done.network, photos)[0])
    whole = {
        "seconds": [0.0, *curve["seconds"], seconds],
        "losses": [begun_at(base, judge, photos), *curve["losses"], last],
    }
    return {
        "name": style.name,
        "title": style.title,
        "started_from": base.title,
        "steps": done.step,
        "seconds": seconds,
        "full_steps": steps,
        "full_objective": full,
        "first_objective": whole["losses"][0],
        "last_objective": last,
        "seconds_to_within": time_to(whole, WITHIN * full),
        "curve": whole,
    }


def begun_at(base: Any, judge: Callable[[Tensor], float], photos: Tensor) -> float:
    """What is said of the network that it begins with, in the nearest of its styles."""
    (row,) = base.rows
    return judge(paint_every_style(base.network.to(photos.device), photos)[row])


def judged(subject: Subject, photos: Tensor) -> Callable[[Tensor], float]:
    """The mean objective of paintings of ``photos`` ([N, 3, h, w] both)."""
    objective = Objective(subject.features, subject.objective, [subject.style_picture])
    targets = objective.content_targets(photos)

    def judge(paintings: Tensor) -> float:
        with torch.no_grad():
            return objective(paintings, targets)["total"].item()

    return judge


def trained_network(style: Style, options: argparse.Namespace) -> tuple[TransformerNetwork, int]:
    """The network that was trained in full, in OUT, or else the bundled one; and the steps it has learned in all."""
    if read_record(options, style).get("done"):
        checkpoint = load_training(folder(options) / f"{style.name}.checkpoint")
        return checkpoint.network, checkpoint.step + checkpoint.earlier_steps
    base = read_starting_network(style.path)
    return base.network, base.steps


def subject_of(style: Style, options: argparse.Namespace) -> Subject:
    """With all that it was trained with."""
    (subject,) = quality.read_subjects(argparse.Namespace(**vars(options) | {"style": [str(style.path)]}))
    return subject


def new_style_table(found: Sequence[Record]) -> str:
    rows = []
    for r in found:
        there = "not yet" if r["seconds_to_within"] is None else f"{r['seconds_to_within']:.0f}"
        objectives = [f"{r[key]:.3f}" for key in ("full_objective", "first_objective", "last_objective")]
        rows.append([r["title"], r["started_from"], *objectives, f"{r['seconds']:.0f}", there])
    head = ["style", "begins with", "full budget", "at first", "at last", "seconds", f"seconds to {WITHIN:g} of it"]
    return table(head, rows)


# ---- beside the bundled ones ------------------------------------------------------------------------------------


def compare(options: argparse.Namespace, deadline: Deadline) -> bool:
    """Export what is done, and judge it beside the bundled style: OUT/compare.json, and a sheet for each style.

    A sheet has a row for each photo of ASSETS/photos/eval: the photo, painted by the bundled network, by the new one.
    """
    file, finished = options.out / "compare.json", True
    found: dict[str, Record] = json.loads(file.read_text()) if file.exists() else {}
    for style in chosen_styles(options):
        record = read_record(options, style)
        finished = finished and record.get("done", False)
        if not record.get("done") or style.name in found:
            continue
        if deadline.within(TOLD_EVERY):
            return False
        made = folder(options) / f"{style.name}.onnx"
        card = StyleCard(style.title, style.artist, style.year, style.licence, style.name)
        export_checkpoint(made.with_suffix(".checkpoint"), [card], made)
        found[style.name] = beside(style, read_styles(made)[0], options)
        write(file, lambda path: path.write_text(json.dumps(found, indent=1)))
    return finished


def beside(style: Style, new: Style, options: argparse.Namespace) -> Record:
    """Objective and checkerboard of both on held-out photos: means and medians; and the sheet."""
    subject = subject_of(style, options)
    held_out = Photos(options.assets / "photos" / "holdout.tar", SMALLEST_METRIC_SIDE)
    scores: dict[str, list[tuple[float, float]]] = {"bundled": [], "new": []}
    for number in quality.chosen(len(held_out), options.photos):
        photo = quality.reduced(held_out.whole(number), 256).to(subject.painting.device)
        judge = judged(subject, photo)
        for name, one in (("bundled", style), ("new", new)):
            painting = quality.painted(one, photo)
            scores[name].append((judge(painting), checkerboard(painting[0].cpu(), photo[0].cpu())))
    rows = []
    for path in sorted((options.assets / "photos" / "eval").glob("*.jpg")):
        with Image.open(path) as picture:
            picture.draft("RGB", (2 * SHEET_SIDE, 2 * SHEET_SIDE))
            pixels = as_tensor(np.array(picture.convert("RGB"))).float() / 255
        photo = resized_to_long_side(pixels, 2 * SHEET_SIDE)
        columns = [photo, quality.painted(style, photo), quality.painted(new, photo)]
        row = torch.cat([resized_to_long_side(column, SHEET_SIDE) for column in columns], 3)[0]
        rows.append(torch.nn.functional.pad(row, (0, 3 * SHEET_SIDE - row.shape[2])))
    sheet = (torch.cat(rows, 1).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    target = options.out / "compare" / f"{style.name}.jpg"
    write(target, lambda partial: Image.fromarray(sheet).save(partial, quality=88))
    record: Record = {"title": style.title, "photos": len(scores["new"])}
    for name, values in scores.items():
        objectives, meshes = zip(*values, strict=True)
        record[name] = {"objective": statistics.fmean(objectives), "checkerboard": statistics.median(meshes)}
    return record


def compare_table(found: Sequence[Record]) -> str:
    rows = []
    for r in found:
        old, new = r["bundled"], r["new"]
        objectives = [f"{value['objective']:.3f}" for value in (old, new)]
        share = f"{new['objective'] / old['objective']:.2f}"
        rows.append([r["title"], *objectives, share, *(f"{value['checkerboard']:.1%}" for value in (old, new))])
    return table(["style", "bundled", "new", "new / bundled", "mesh, bundled", "mesh, new"], rows)
