"""From a painting's file to a style file: what `neural-style train` and `neural-style export` do."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from export.to_onnx import StyleCard, export_style
from nst_core.devices import choose_device
from nst_core.photos import Photos
from nst_core.settings import TrainSettings
from nst_core.train import TrainProgress, bytes_per_pixel, load_checkpoint, train
from nst_core.weights import load_features
from plugin.engine.memory import check_memory
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
    name = card.slug  # an unusable one is told before the training, not after
    style = torch.from_numpy(network_input(read_picture(painting).picture)).permute(2, 0, 1)[None]
    chosen = choose_device(device)
    network = load_features(features, pooling)
    pixels = max(settings.batch * settings.crop**2, settings.style_size**2)
    check_memory(pixels, bytes_per_pixel(network, settings), chosen.type == "cuda", "A training step")
    source = Photos(photos, settings.crop)
    base = load_checkpoint(start) if start else None
    checkpoint, log = output.with_suffix(".checkpoint"), LossLog(output.with_suffix(".losses.csv"))
    resumed = checkpoint.exists()

    def record(step: TrainProgress) -> bool:
        log.add(step)
        return progress(step)

    with log:
        done = train(style.to(chosen), source, network, settings, record, checkpoint, base)
    difference = export_style(done, card, sample_photo(), output)
    return {
        "output": str(output),
        "style": name,
        "steps": done.step,
        "resumed": resumed,
        "feature_network": done.feature_network,
        "photos": len(source),
        "photos_skipped": source.skipped,
        "checkpoint": str(checkpoint),
        "losses": str(log.path),
        "difference": difference,
    }


class LossLog:
    """A CSV file with a row a step. It appears with the first step, and a resumed training goes on in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None

    def __enter__(self) -> LossLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, step: TrainProgress) -> None:
        """Append the losses of ``step``; rows of it or later ones, from a sitting that was cut off, go."""
        if self._file is None:
            earlier = self.path.read_text().splitlines()[1:] if step.step > 1 and self.path.exists() else []
            kept = [row for row in earlier if int(row.split(",")[0]) < step.step]
            self._file = self.path.open("w")
            print("step", *step.losses, sep=",", file=self._file)
            for row in kept:
                print(row, file=self._file)
        print(step.step, *(f"{value:.6f}" for value in step.losses.values()), sep=",", file=self._file)


def export_checkpoint(checkpoint: Path, card: StyleCard, output: Path) -> dict[str, Any]:
    """Make the style file ``output`` from a checkpoint."""
    done = load_checkpoint(checkpoint)
    difference = export_style(done, card, sample_photo(), output)
    return {"output": str(output), "style": card.slug, "steps": done.step, "difference": difference}


def sample_photo() -> np.ndarray:
    """Our own photo for thumbnails: uint8 [H, W, 3]."""
    with resources.as_file(resources.files("plugin") / "samples" / THUMBNAIL_PHOTO) as path:
        return np.round(read_picture(path).picture.pixels[..., :3] * 255).astype(np.uint8)
