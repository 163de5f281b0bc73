"""From a painting's file to a style file: what `neural-style train` and `neural-style export` do."""

from __future__ import annotations

import csv
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch

from export.to_onnx import StyleCard, export_style
from nst_core.devices import choose_device
from nst_core.photos import Photos
from nst_core.settings import TrainSettings
from nst_core.train import TrainProgress, load_checkpoint, train
from nst_core.weights import load_features
from plugin.engine.picture import network_input
from plugin.picture_files import read_picture

THUMBNAIL_PHOTO = "chelsea.jpg"


def train_style(
    painting: Path,
    photos: Path,
    output: Path,
    settings: TrainSettings,
    card: StyleCard,
    progress: Callable[[TrainProgress], bool],
    *,
    features: str,
    pooling: str,
    device: str,
    start: Path | None = None,
) -> dict[str, Any]:
    """Train, keeping ``output`` with the endings .checkpoint and .losses.csv beside it up to date, and export.

    A checkpoint that is there is resumed; a new one begins with the network of the checkpoint ``start``.
    Raises StyleError, in one sentence, for whatever cannot be read or written.
    """
    style = torch.from_numpy(network_input(read_picture(painting).picture)).permute(2, 0, 1)[None]
    network = load_features(features, pooling)
    source = Photos(photos, settings.crop)
    base = load_checkpoint(start) if start else None
    checkpoint, log = output.with_suffix(".checkpoint"), output.with_suffix(".losses.csv")
    resumed = checkpoint.exists()
    with log.open("a" if resumed else "w", newline="") as file:
        rows = csv.writer(file)

        def record(step: TrainProgress) -> bool:
            if file.tell() == 0:
                rows.writerow(["step", *step.losses])
            rows.writerow([step.step, *(f"{value:.6f}" for value in step.losses.values())])
            return progress(step)

        done = train(style.to(choose_device(device)), source, network, settings, record, checkpoint, base)
    difference = export_style(done, card, sample_photo(), output)
    return {
        "output": str(output),
        "style": card.slug,
        "steps": done.step,
        "resumed": resumed,
        "feature_network": done.feature_network,
        "photos": len(source),
        "photos_skipped": source.skipped,
        "checkpoint": str(checkpoint),
        "losses": str(log),
        "difference": difference,
    }


def export_checkpoint(checkpoint: Path, card: StyleCard, output: Path) -> dict[str, Any]:
    """Make the style file ``output`` from a checkpoint."""
    done = load_checkpoint(checkpoint)
    difference = export_style(done, card, sample_photo(), output)
    return {"output": str(output), "style": card.slug, "steps": done.step, "difference": difference}


def sample_photo() -> np.ndarray:
    """Our own photo for thumbnails: uint8 [H, W, 3]."""
    with resources.as_file(resources.files("plugin") / "samples" / THUMBNAIL_PHOTO) as path:
        return np.round(read_picture(path).picture.pixels[..., :3] * 255).astype(np.uint8)
