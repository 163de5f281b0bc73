"""From files to trained files: what `neural-style train`, `export`, `import` and `distill` do."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from export.foreign import import_style
from export.to_onnx import StyleCard, check_cards, export_styles
from nst_core.dead_leaves import DeadLeaves
from nst_core.devices import choose_device
from nst_core.distill import DistillProgress, agreement, distill, save_compact
from nst_core.downloads import DownloadProgress
from nst_core.photos import Photos, PictureSource
from nst_core.settings import GATYS_STYLE_LAYERS, DistillSettings, TrainSettings
from nst_core.train import TrainProgress, bytes_per_pixel, load_checkpoint, train
from nst_core.weights import available, load_features
from plugin.engine.memory import check_memory
from plugin.engine.picture import network_input
from plugin.picture_files import read_picture

THUMBNAIL_PHOTO = "chelsea.jpg"


def train_styles(
    paintings: Sequence[Path],
    photos: Path | None,
    output: Path,
    settings: TrainSettings,
    cards: Sequence[StyleCard],
    progress: Callable[[TrainProgress], bool],
    stage: Callable[[str, float], None],
    *,
    features: str,
    pooling: str,
    device: str,
    start: Path | None = None,
    reference_photos: Path | None = None,
) -> dict[str, Any]:
    """Train, keeping ``output`` with the endings .checkpoint and .losses.csv beside it up to date, and export.

    ``stage`` is told what takes long before the first step, and its fraction. Without
    ``photos`` it learns from pictures made up. A checkpoint that is there is resumed; a new one begins with the network
    of the checkpoint ``start``. Raises StyleError, in one sentence, for whatever cannot be read or written.
    """
    check_cards(cards, len(paintings))  # told before the training, not after
    chosen = choose_device(device)
    styles = [_tensor(painting).to(chosen) for painting in paintings]
    checkpoint, log = output.with_suffix(".checkpoint"), LossLog(output.with_suffix(".losses.csv"))
    resumed = checkpoint.exists()
    if resumed and features == "auto" and load_checkpoint(checkpoint).feature_network in available():
        # What is on disk may have changed since; what was begun goes on.
        features = load_checkpoint(checkpoint).feature_network
    network = load_features(features, pooling, reference_photos, _fetching(features, stage))
    pixels = max(settings.batch * settings.crop**2, settings.style_size**2)
    check_memory(pixels, bytes_per_pixel(network, settings), chosen.type == "cuda", "A training step")
    source: PictureSource = Photos(photos, settings.crop) if photos else DeadLeaves()
    base = load_checkpoint(start) if start else None

    def record(step: TrainProgress) -> bool:
        log.add(step)
        return progress(step)

    with log:
        done = train(styles, source, network, settings, record, checkpoint, base)
    difference = export_styles(done, cards, sample_photo(), output)
    return {
        "output": str(output),
        "styles": [card.slug for card in cards],
        "steps": done.step,
        "resumed": resumed,
        "feature_network": done.feature_network,
        "photos": len(source),
        "photos_skipped": list(source.skipped),
        "checkpoint": str(checkpoint),
        "losses": str(log.path),
        "difference": difference,
    }


def _fetching(features: str, stage: Callable[[str, float], None]) -> DownloadProgress:
    def tell(done: int, total: int) -> bool:
        stage(f"Fetching {features}", done / total)
        return True

    return tell


def distill_features(
    photos: Path,
    paintings: Path,
    output: Path,
    settings: DistillSettings,
    progress: Callable[[DistillProgress], bool],
    stage: Callable[[str, float], None],
    *,
    teacher: str,
    device: str,
    start: Path | None,
    held_out: Path | None,
) -> dict[str, Any]:
    """Train a slim feature network, keeping ``output`` with the ending .checkpoint beside it up to date, and save it.

    A checkpoint that is there is resumed; a new one begins with the network in the file ``start``. With ``held_out``,
    photos that it has not seen, the report says how well it agrees with its teacher on them. Raises StyleError, in one
    sentence, for whatever cannot be read or written.
    """
    chosen = choose_device(device)
    network = load_features(teacher, progress=_fetching(teacher, stage))
    sources = Photos(photos, settings.crop), Photos(paintings, settings.crop)
    unseen = Photos(held_out, settings.crop) if held_out else None
    base = load_features(str(start)) if start else None
    student, steps = distill(network, *sources, settings, progress, output.with_suffix(".checkpoint"), chosen, base)
    made = {
        "teacher": network.name,
        "steps": str(steps),
        "settings": json.dumps(asdict(settings)),
        "photos": str(len(sources[0])),
        "paintings": str(len(sources[1])),
    }
    save_compact(student, output, made)
    report: dict[str, Any] = {"output": str(output), "steps": steps, "teacher": network.name}
    if unseen:
        # As saved, in half precision.
        saved = load_features(str(output)).to(chosen)
        pictures = (unseen.whole(i) for i in range(len(unseen)))
        found = agreement(saved, network, (picture.to(chosen) for picture in pictures), GATYS_STYLE_LAYERS)
        report["agreement"] = {layer: round(value, 4) for layer, value in found.items()}
    return report


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


def export_checkpoint(checkpoint: Path, cards: Sequence[StyleCard], output: Path) -> dict[str, Any]:
    """Make the style file ``output`` from a checkpoint."""
    done = load_checkpoint(checkpoint)
    difference = export_styles(done, cards, sample_photo(), output)
    names = [card.slug for card in cards]
    return {"output": str(output), "styles": names, "steps": done.step, "difference": difference}


def import_network(source: Path, cards: Sequence[StyleCard], output: Path) -> dict[str, Any]:
    """Make the style file ``output`` from a network made elsewhere, of one style."""
    check_cards(cards, 1)
    (card,) = cards
    done = import_style(source, card, sample_photo(), output)
    return {"output": str(output), "styles": [card.slug], "layout": done.layout, "difference": done.difference}


def _tensor(painting: Path) -> torch.Tensor:
    return torch.from_numpy(network_input(read_picture(painting).picture)).permute(2, 0, 1)[None]


def sample_photo() -> np.ndarray:
    """Our own photo for thumbnails: uint8 [H, W, 3]."""
    with resources.as_file(resources.files("plugin") / "samples" / THUMBNAIL_PHOTO) as path:
        return np.round(read_picture(path).picture.pixels[..., :3] * 255).astype(np.uint8)
