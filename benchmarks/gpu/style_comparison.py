"""Export the trained styles and compare each with the bundled one."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.gpu.full_training import LINE_SECONDS, read_training_record
from benchmarks.gpu.gpu_options import GpuOptions, chosen_styles
from benchmarks.gpu.new_styles import read_subject
from benchmarks.measuring.pictures import read_picture_tensor
from benchmarks.measuring.record_files import Record, markdown_table, read_json, write_file, write_json
from benchmarks.measuring.timing import Deadline
from benchmarks.quality.scores import paint_photo, reduce_photo, spread_indices
from nst_core.losses.metrics import SMALLEST_METRIC_SIDE, checkerboard
from nst_core.pictures.arrays import as_array
from nst_core.pictures.photos import Photos
from nst_core.pictures.resize import resized_to_long_side
from nst_core.style_file import Style, StyleCard, read_styles
from plugin.engine.training.style_export import export_checkpoint

COMPARED_SIZE = 256  # longer side of the photos that are judged, in pixels
SHEET_SIDE = 384  # longer side of each picture of a sheet, in pixels


def compare_styles(options: GpuOptions, deadline: Deadline) -> bool:
    """Export each finished style and compare it with the bundled one; return whether all styles are finished.

    OUT/compare gets a sheet for each style. A sheet has a row for each photo of ASSETS/photos/eval: the photo, painted
    by the bundled network, and by the new one.
    """
    all_finished = True
    records: dict[str, Record] = read_json(options.comparison_file) or {}
    for style in chosen_styles(options):
        finished = bool(read_training_record(options, style).get("done"))
        all_finished = all_finished and finished
        if not finished or style.name in records:
            continue
        if deadline.reached(LINE_SECONDS):
            return False
        new = _export(style, options)
        record = _score(style, new, options)
        _write_sheet(style, new, options)
        records[style.name] = record
        write_json(options.comparison_file, records)
    return all_finished


def _export(style: Style, options: GpuOptions) -> Style:
    """Export the trained checkpoint with the bundled style's card."""
    path = options.trained_styles / f"{style.name}.onnx"
    card = StyleCard(style.title, style.artist, style.year, style.licence, style.name)
    export_checkpoint(path.with_suffix(".checkpoint"), [card], path)
    return read_styles(path)[0]


def _score(style: Style, new: Style, options: GpuOptions) -> Record:
    """Return the mean objective and the median checkerboard of both styles on held-out photos."""
    subject = read_subject(style, options)
    held_out = Photos(options.held_out_photos, SMALLEST_METRIC_SIDE)
    scores: dict[str, list[tuple[float, float]]] = {"bundled": [], "new": []}
    for number in spread_indices(len(held_out), options.photos):
        photo = reduce_photo(held_out.whole(number), COMPARED_SIZE).to(subject.painting.device)
        objective = subject.objective_function(photo)
        for name, painter in (("bundled", style), ("new", new)):
            painting = paint_photo(painter, photo)
            scores[name].append((objective(painting), checkerboard(painting[0].cpu(), photo[0].cpu())))
    record: Record = {"title": style.title, "photos": len(scores["new"])}
    for name, values in scores.items():
        objectives, checkerboards = zip(*values, strict=True)
        record[name] = {
            "objective": statistics.fmean(objectives),
            "checkerboard": statistics.median(checkerboards),
        }
    return record


def _write_sheet(style: Style, new: Style, options: GpuOptions) -> None:
    rows = [_sheet_row(path, style, new) for path in sorted((options.assets / "photos" / "eval").glob("*.jpg"))]
    sheet = (as_array(torch.cat(rows, 2)) * 255).round().astype(np.uint8)
    target = options.out / "compare" / f"{style.name}.jpg"
    write_file(target, lambda partial: Image.fromarray(sheet).save(partial, quality=88))


def _sheet_row(path: Path, style: Style, new: Style) -> Tensor:
    """Return a photo and both paintings side by side, [1, 3, H, 3 * SHEET_SIDE]; narrow ones leave a black margin."""
    photo = resized_to_long_side(read_picture_tensor(path, torch.device("cpu")), 2 * SHEET_SIDE)
    pictures = [photo, paint_photo(style, photo), paint_photo(new, photo)]
    row = torch.cat([resized_to_long_side(picture, SHEET_SIDE) for picture in pictures], 3)
    return torch.nn.functional.pad(row, (0, 3 * SHEET_SIDE - row.shape[3]))


def comparison_table(records: Sequence[Record]) -> str:
    """Format a row for each style."""
    rows = []
    for r in records:
        bundled, new = r["bundled"], r["new"]
        objectives = [f"{score['objective']:.3f}" for score in (bundled, new)]
        ratio = f"{new['objective'] / bundled['objective']:.2f}"
        rows.append([r["title"], *objectives, ratio, *(f"{score['checkerboard']:.1%}" for score in (bundled, new))])
    head = ["style", "bundled", "new", "new / bundled", "checkerboard, bundled", "checkerboard, new"]
    return markdown_table(head, rows)
