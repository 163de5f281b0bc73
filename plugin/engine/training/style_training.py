"""From files to trained files: what `neural-style train`, `export`, `import` and `distill` do."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from PIL import Image

from export.foreign.import_style import import_style
from export.from_onnx import read_base
from export.to_onnx import export_styles
from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from nst_core.base.objective_settings import GATYS_STYLE_LAYERS
from nst_core.base.training_settings import DistillSettings, TrainingIntervals, TrainSettings, TransformerSettings
from nst_core.devices import choose_device
from nst_core.distill.agreement import agreement
from nst_core.distill.distillation import LEAST_CROP as LEAST_CROP_TO_DISTILL
from nst_core.distill.distillation import Distillation, DistillData, DistillProgress
from nst_core.distill.student import save_compact
from nst_core.fast import distributed as parallel
from nst_core.fast.train import (
    Base,
    Checkpoint,
    TrainProgress,
    bytes_per_pixel,
    load_checkpoint,
    nearest,
    paint,
    train,
    with_styles,
)
from nst_core.features.catalogue import available, load_features
from nst_core.features.downloads import DownloadProgress
from nst_core.features.network import FeatureNetwork
from nst_core.pictures.arrays import as_tensor
from nst_core.pictures.dead_leaves import DeadLeaves
from nst_core.pictures.photos import LEAST_CROP, HeldPhotos, Photos, PictureSource
from nst_core.pictures.resize import resized, resized_to_long_side
from nst_core.style_file import StyleCard, check_cards
from plugin.cli.picture_files import read_picture
from plugin.engine.imaging.picture import network_input
from plugin.engine.machine import paths
from plugin.engine.machine.memory import check_memory

THUMBNAIL_PHOTO = "chelsea.jpg"
TRIAL_SIDE = 256  # longer side in pixels of the photo by whose paintings the nearest style is found
PREVIEW_SIDE = 256
PREVIEW_TRAINING_PHOTOS = 3  # beside our own
PREVIEW_STYLES = 12
# Steps between two checkpoints, and between two looks at the losses, for which a GPU has to wait.
EVERY = {"cuda": (500, 10)}
EVERY_ELSEWHERE = (100, 1)
# Of a GPU's free memory: what photos may take that are held there.
PHOTOS_SHARE = 0.25


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
    from_scratch: bool = False,
    reference_photos: Path | None = None,
) -> dict[str, Any]:
    """Train, keeping ``output`` with the endings .checkpoint, .losses.csv and .preview.jpg up to date, and export.

    ``stage`` is told what takes long before the first step, and its fraction. Without ``photos`` it learns from
    pictures made up. A checkpoint that is there is resumed; a new one begins with the network in ``start``, a
    checkpoint or a style file, or else with the nearest of the bundled styles unless it is to be ``from_scratch``. Of a
    style file too, each new style begins as the nearest one. Of several processes (see fast/distributed.py) the first
    one writes the files. Raises StyleError, in one sentence, for whatever cannot be read or written.
    """
    check_cards(cards, len(paintings))  # told before the training, not after
    done, report = train_network(
        paintings,
        photos,
        output,
        settings,
        progress,
        stage,
        features=features,
        pooling=pooling,
        device=device,
        start=start,
        from_scratch=from_scratch,
        reference_photos=reference_photos,
    )
    difference = export_styles(done, cards, sample_photo(), output) if parallel.rank() == 0 else None
    return report | {"output": str(output), "styles": [card.slug for card in cards], "difference": difference}


def train_network(
    paintings: Sequence[Path],
    photos: Path | None,
    output: Path,
    settings: TrainSettings,
    progress: Callable[[TrainProgress], bool],
    stage: Callable[[str, float], None],
    *,
    features: str,
    pooling: str,
    device: str,
    start: Path | None = None,
    from_scratch: bool = False,
    reference_photos: Path | None = None,
    compiled: bool = False,
) -> tuple[Checkpoint, dict[str, Any]]:
    """All of ``train_styles`` but the export: what was learned, and the report on it. ``compiled`` as for ``train``."""
    part = parallel.share(settings.batch)
    chosen = choose_device(device)
    torch.backends.cudnn.benchmark = chosen.type == "cuda"  # all batches have one shape: it pays to try what is fastest
    styles = [as_tensor(network_input(read_picture(painting).picture)).to(chosen) for painting in paintings]
    checkpoint = output.with_suffix(".checkpoint")
    earlier = parallel.agreed(load_checkpoint(checkpoint) if checkpoint.exists() else None)[0]
    if earlier and earlier.started_from and from_scratch:
        raise StyleError(f"{checkpoint} began with {earlier.started_from}, not from scratch; choose another output.")
    if earlier and features == "auto" and earlier.feature_network in available():
        # What is on disk may have changed since; what was begun goes on.
        features = earlier.feature_network
    with parallel.first_here_first():
        network = load_features(features, pooling, reference_photos, _fetching(features, stage))
    pixels = max((part.stop - part.start) * settings.crop**2, settings.style_size**2)
    check_memory(pixels, bytes_per_pixel(network, settings), chosen.type == "cuda", "A training step")
    source = photos_for(photos, settings.crop, chosen) if photos else DeadLeaves()
    base = None if earlier or from_scratch else _base(start, styles, network, settings)
    log = LossLog(output.with_suffix(".losses.csv"), earlier.step if earlier else 0)
    pictures, preview = None, output.with_suffix(".preview.jpg")
    if first := parallel.rank() == 0:
        pictures = _preview_photos(source, settings.seed).to(chosen)

    def record(step: TrainProgress) -> bool:
        if first:
            log.add(step)
        if step.paintings is not None:
            write_preview(step.paintings, preview)
        return progress(step)

    with log:
        done = train(styles, source, network, settings, record, checkpoint, base, pictures, *_every(chosen))
    if pictures is not None:
        write_preview(paint(done.network, pictures), preview)
    return done, {
        "steps": done.step,
        "resumed": earlier is not None,
        "feature_network": done.feature_network,
        "photos": len(source),
        "photos_skipped": list(source.skipped),
        "checkpoint": str(checkpoint),
        "losses": str(log.path),
        "preview": str(preview),
        "started_from": done.started_from,
    }


def _every(device: torch.device) -> tuple[int, int]:
    return EVERY.get(device.type, EVERY_ELSEWHERE)


def photos_for(source: Path, crop: int, device: torch.device, least: float = LEAST_CROP) -> PictureSource:
    """The photos of a folder or a tar for squares of ``crop`` pixels; held in a GPU's memory, if it has room for them.

    ``least`` is the smallest share of a photo's short side that is cropped. Raises StyleError as ``Photos`` does.
    """
    photos = Photos(source, crop)
    if device.type != "cuda":
        return photos
    side = round(crop / least)
    bytes_at_most = len(photos) * 3 * side * 2 * side  # few photos are longer than twice their short side
    if bytes_at_most > PHOTOS_SHARE * torch.cuda.mem_get_info()[0]:
        return photos
    return HeldPhotos(photos, side, device)


def _base(
    start: Path | None, styles: Sequence[torch.Tensor], features: FeatureNetwork, settings: TrainSettings
) -> Base | None:
    """What a new training begins with: ``start`` or, without it, a bundled network, if one has the shape."""
    if start is not None and start.suffix.lower() != ".onnx":
        begun = load_checkpoint(start)
        return Base(begun.network, begun.step + begun.earlier_steps, (start.name,))
    bases = bundled_bases(settings.network) if start is None else [read_base(start)]
    if not bases:
        return None
    photo = resized_to_long_side(as_tensor(sample_photo()).float() / 255, TRIAL_SIDE).to(styles[0].device)
    return nearest(bases, styles, photo, features, settings)


def bundled_bases(shape: TransformerSettings) -> list[Base]:
    """The bundled networks that were trained here and have this shape, whatever their number of styles."""
    bases = []
    for path in sorted(paths.bundled_styles_folder().glob("*.onnx")):
        try:
            base = read_base(path)
        except StyleError:  # imported
            continue
        if replace(base.network.settings, styles=shape.styles) == shape:
            bases.append(base)
    return bases


def _preview_photos(source: PictureSource, seed: int) -> torch.Tensor:
    """Our own photo and the first to learn from, the same in every sitting: squares, [N, 3, side, side]."""
    own = as_tensor(sample_photo()).float() / 255
    side = min(own.shape[-2:])
    y, x = ((extent - side) // 2 for extent in own.shape[-2:])
    square = resized(own[..., y : y + side, x : x + side], PREVIEW_SIDE, PREVIEW_SIDE)
    return torch.cat([square, source.batch(0, PREVIEW_TRAINING_PHOTOS, PREVIEW_SIDE, seed).cpu()])


def write_preview(paintings: torch.Tensor, path: Path) -> None:
    """Write a JPEG with a row for each of the first styles and a column for each photo, whole or not at all.

    ``paintings`` is [styles, N, 3, h, w] in 0..1. Raises StyleError if it cannot be written.
    """
    rows = paintings[:PREVIEW_STYLES].permute(0, 3, 1, 4, 2)
    styles, height, photos, width, _ = rows.shape
    grid = (rows.reshape(styles * height, photos * width, 3) * 255).round().byte()
    encoded = io.BytesIO()  # Pillow itself does not notice when a disk takes only part of a file
    Image.fromarray(grid.cpu().numpy()).save(encoded, "JPEG", quality=90)
    try:
        with written_whole(path) as partial:
            partial.write_bytes(encoded.getvalue())
    except OSError as error:
        raise StyleError(f"{path} cannot be written ({error.strerror}); free some space and resume.") from error


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
    photo_source, painting_source = (
        photos_for(pictures, settings.crop, chosen, LEAST_CROP_TO_DISTILL) for pictures in (photos, paintings)
    )
    unseen = Photos(held_out, settings.crop) if held_out else None
    base = load_features(str(start)) if start else None
    checkpoint = output.with_suffix(".checkpoint")
    data = DistillData(network, photo_source, painting_source, base, chosen)
    training = Distillation(data, settings, checkpoint, TrainingIntervals(*_every(chosen)))
    student = training.run(progress)
    steps = training.step_count
    made = {
        "teacher": network.name,
        "steps": str(steps),
        "settings": json.dumps(asdict(settings)),
        "photos": str(len(photo_source)),
        "paintings": str(len(painting_source)),
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
    """A CSV file with a row for each step that is reported. It appears with the first of them.

    A training that goes on after the step ``resumed`` goes on in it.
    """

    def __init__(self, path: Path, resumed: int = 0) -> None:
        self.path, self._resumed = path, resumed
        self._file: TextIO | None = None

    def __enter__(self) -> LossLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, step: TrainProgress) -> None:
        """Append the losses of ``step``; rows that a sitting left after its last checkpoint go."""
        if self._file is None:
            earlier = self.path.read_text().splitlines()[1:] if self._resumed and self.path.exists() else []
            kept = [row for row in earlier if int(row.split(",")[0]) <= self._resumed]
            self._file = self.path.open("w")
            print("step", *step.losses, sep=",", file=self._file)
            for row in kept:
                print(row, file=self._file)
        print(step.step, *(f"{value:.6f}" for value in step.losses.values()), sep=",", file=self._file)


def export_checkpoint(
    checkpoint: Path, cards: Sequence[StyleCard], output: Path, leave_out: Sequence[str] = ()
) -> dict[str, Any]:
    """Make the style file ``output`` from a checkpoint, without the styles that have these names.

    Raises StyleError, in one sentence, if there is no such style, or none would be left.
    """
    done = load_checkpoint(checkpoint)
    check_cards(cards, done.network.settings.styles)
    known = [card.slug for card in cards]
    for name in leave_out:
        if name not in known:
            raise StyleError(f"There is no style {name!r} to leave out; choose from {', '.join(known)}.")
    rows = [row for row, name in enumerate(known) if name not in leave_out]
    if not rows:
        raise StyleError("No style would be left; leave out fewer.")
    if leave_out:
        done, cards = with_styles(done, rows), [cards[row] for row in rows]
    difference = export_styles(done, cards, sample_photo(), output)
    names = [card.slug for card in cards]
    return {"output": str(output), "styles": names, "steps": done.step, "difference": difference}


def import_network(source: Path, cards: Sequence[StyleCard], output: Path) -> dict[str, Any]:
    """Make the style file ``output`` from a network made elsewhere, of one style."""
    check_cards(cards, 1)
    (card,) = cards
    done = import_style(source, card, sample_photo(), output)
    return {"output": str(output), "styles": [card.slug], "layout": done.layout, "difference": done.difference}


def sample_photo() -> np.ndarray:
    """Our own photo for thumbnails: uint8 [H, W, 3]."""
    with resources.as_file(resources.files("plugin") / "samples" / THUMBNAIL_PHOTO) as path:
        return np.round(read_picture(path).picture.pixels[..., :3] * 255).astype(np.uint8)
