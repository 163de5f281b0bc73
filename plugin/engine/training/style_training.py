"""Train a style, from pictures to a style file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from export.from_onnx import read_starting_network
from export.to_onnx import export_styles
from nst_core.base.errors import StyleError
from nst_core.base.training_settings import TrainSettings, TransformerSettings
from nst_core.devices import choose_device
from nst_core.fast import distributed
from nst_core.fast.starting_network import StartingNetwork, nearest_start
from nst_core.fast.train import TrainCallback, Training, TrainingData, TrainProgress, training_bytes_per_pixel
from nst_core.fast.training_checkpoint import TrainingCheckpoint, load_training
from nst_core.fast.transformer import paint_every_row
from nst_core.features.catalogue import available, load_features
from nst_core.features.network import FeatureNetwork
from nst_core.pictures.arrays import as_tensor
from nst_core.pictures.dead_leaves import DeadLeaves
from nst_core.pictures.face_crops import FaceCrops, read_faces
from nst_core.pictures.photos import Photos, PictureSource
from nst_core.pictures.resize import resized_to_long_side
from nst_core.style_file import StyleCard, check_cards
from plugin.engine.imaging.picture import Picture, network_input
from plugin.engine.machine import paths
from plugin.engine.machine.memory import check_memory
from plugin.engine.stage_progress import StageCallback, download_stage
from plugin.engine.training.device_tuning import intervals_for, photos_for
from plugin.engine.training.loss_log import LossLog
from plugin.engine.training.sample_photo import read_sample_photo
from plugin.engine.training.training_preview import preview_photos, write_training_preview

# The longer side in pixels of the photo whose paintings decide which style is nearest.
NEAREST_STYLE_SIDE = 256


@dataclass(frozen=True, eq=False)
class TrainingRequest:
    """A training of one style or several.

    Attributes:
        paintings: the style pictures.
        photos: a folder or tar of photos to paint; None for generated pictures.
        left_out: the names of photos not to learn from.
        faces: a JSON file with the boxes of faces in the photos, as ``read_faces`` takes it; None if none are known.
        output: the style file. Its checkpoint, losses and preview are next to it.
        features, pooling, reference_photos: the feature network, as for ``load_features``.
        device: as for ``choose_device``.
        start: the checkpoint or style file that a new training begins with; None for the nearest bundled style.
        from_scratch: whether a new training begins with random weights instead.
        compiled: as for ``Training``.
    """

    paintings: Sequence[Picture]
    photos: Path | None
    output: Path
    settings: TrainSettings
    features: str = "auto"
    pooling: str = "max"
    reference_photos: Path | None = None
    device: str = "auto"
    start: Path | None = None
    from_scratch: bool = False
    compiled: bool = False
    faces: Path | None = None
    left_out: frozenset[str] = frozenset()

    @property
    def checkpoint(self) -> Path:
        """The checkpoint, which an interrupted training resumes from."""
        return self.output.with_suffix(".checkpoint")

    @property
    def losses(self) -> Path:
        """The table of losses."""
        return self.output.with_suffix(".losses.csv")

    @property
    def preview(self) -> Path:
        """The picture that shows how the training is doing."""
        return self.output.with_suffix(".preview.jpg")


def train_styles(
    request: TrainingRequest,
    cards: Sequence[StyleCard],
    progress: TrainCallback,
    stage: StageCallback,
) -> dict[str, Any]:
    """Train, write the style file with a card for each style, and return a report.

    The arguments are as for ``train_network``. With several processes the first one writes the files. Raises StyleError
    for whatever cannot be read or written.
    """
    check_cards(cards, len(request.paintings))  # before the training
    checkpoint, report = train_network(request, progress, stage)
    difference = None
    if distributed.rank() == 0:
        difference = export_styles(checkpoint, cards, read_sample_photo(), request.output)
    return report | {
        "output": str(request.output),
        "styles": [card.slug for card in cards],
        "difference": difference,
    }


def train_network(
    request: TrainingRequest, progress: TrainCallback, stage: StageCallback
) -> tuple[TrainingCheckpoint, dict[str, Any]]:
    """Train without writing the style file; return the result and a report on it.

    Checkpoint, losses and preview are kept up to date. An existing checkpoint is resumed. ``progress`` is called as by
    ``Training.run``; ``stage`` is called during the slow work before the first step. Raises StyleError for whatever
    cannot be read or written.
    """
    share, device = distributed.batch_share(request.settings.batch), choose_device(request.device)
    torch.backends.cudnn.benchmark = device.type == "cuda"  # all batches have one shape, so trying algorithms pays off
    styles = [as_tensor(network_input(painting)).to(device) for painting in request.paintings]
    earlier = _earlier(request)
    features = _load_features(request, earlier, stage)
    settings = request.settings
    pixels = max((share.stop - share.start) * settings.crop**2, settings.style_size**2)
    check_memory(pixels, training_bytes_per_pixel(features, settings), device.type == "cuda", "A training step")
    photos = _training_pictures(request, device)
    start = None
    if not earlier and not request.from_scratch:
        start = _starting_network(request, styles, features)
    preview = preview_photos(photos, settings.seed).to(device) if distributed.rank() == 0 else None
    with LossLog(request.losses, earlier.step if earlier else 0) as log:
        data = TrainingData(styles, photos, features, start, preview)
        training = Training(data, settings, request.checkpoint, intervals_for(device), request.compiled)
        checkpoint = training.run(_recorder(log, request.preview, progress))
    if preview is not None:
        write_training_preview(paint_every_row(checkpoint.network, preview), request.preview)
    return checkpoint, _report(request, checkpoint, photos, resumed=earlier is not None)


def _training_pictures(request: TrainingRequest, device: torch.device) -> PictureSource:
    settings = request.settings
    if request.photos is None:
        return DeadLeaves()
    pictures = photos_for(request.photos, settings.crop, device, left_out=request.left_out)
    if request.faces is None or not settings.face_share:
        return pictures
    photos = pictures if isinstance(pictures, Photos) else Photos(request.photos, settings.crop, request.left_out)
    return FaceCrops(pictures, photos, read_faces(request.faces), settings.face_share)


def bundled_networks(shape: TransformerSettings) -> list[StartingNetwork]:
    """Return the bundled networks that were trained here and have this shape, with any number of styles."""
    networks = []
    for path in sorted(paths.bundled_styles_folder().glob("*.onnx")):
        try:
            candidate = read_starting_network(path)
        except StyleError:  # imported
            continue
        if candidate.network.settings.has_shape_of(shape):
            networks.append(candidate)
    return networks


def _earlier(request: TrainingRequest) -> TrainingCheckpoint | None:
    """Return the checkpoint to resume from; in every process it is the first one's."""
    path = request.checkpoint
    earlier: TrainingCheckpoint | None = distributed.gather(load_training(path) if path.exists() else None)[0]
    if earlier and earlier.started_from and request.from_scratch:
        raise StyleError(f"{path} began with {earlier.started_from}, not from scratch; choose another output.")
    return earlier


def _load_features(
    request: TrainingRequest, earlier: TrainingCheckpoint | None, stage: StageCallback
) -> FeatureNetwork:
    features = request.features
    if earlier and features == "auto" and earlier.feature_network in available():
        # "auto" depends on what is on disk, which may have changed; a training keeps its network.
        features = earlier.feature_network
    with distributed.local_main_process_first():
        return load_features(features, request.pooling, request.reference_photos, download_stage(features, stage))


def _starting_network(
    request: TrainingRequest, styles: Sequence[Tensor], features: FeatureNetwork
) -> StartingNetwork | None:
    """Return the network that a new training begins with; None if no bundled one has the shape."""
    start, shape = request.start, request.settings.network
    if start is not None and start.suffix.lower() != ".onnx":
        checkpoint = load_training(start)
        return StartingNetwork(checkpoint.network, checkpoint.total_steps, (start.name,))
    candidates = bundled_networks(shape) if start is None else [read_starting_network(start)]
    if not candidates:
        return None
    photo = as_tensor(read_sample_photo()).float() / 255
    photo = resized_to_long_side(photo, NEAREST_STYLE_SIDE).to(styles[0].device)
    return nearest_start(candidates, styles, photo, features, request.settings)


def _recorder(log: LossLog, preview: Path, progress: TrainCallback) -> TrainCallback:
    """Return ``progress``, preceded in the first process by writing the losses and the preview."""

    def record(step: TrainProgress) -> bool:
        if distributed.rank() == 0:
            log.add(step)
        if step.paintings is not None:
            write_training_preview(step.paintings, preview)
        return progress(step)

    return record


def _report(
    request: TrainingRequest, checkpoint: TrainingCheckpoint, photos: PictureSource, resumed: bool
) -> dict[str, Any]:
    return {
        "steps": checkpoint.step,
        "resumed": resumed,
        "feature_network": checkpoint.feature_network,
        "photos": len(photos),
        "photos_skipped": list(photos.skipped),
        "checkpoint": str(request.checkpoint),
        "losses": str(request.losses),
        "preview": str(request.preview),
        "started_from": checkpoint.started_from,
    }
