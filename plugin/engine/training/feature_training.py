"""Distil a small feature network from a large one, from files to a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from nst_core.base.objective_settings import GATYS_STYLE_LAYERS
from nst_core.base.training_settings import DistillSettings
from nst_core.devices import choose_device
from nst_core.distill.agreement import agreement
from nst_core.distill.distillation import DISTILL_LEAST_CROP, Distillation, DistillData
from nst_core.distill.student import save_compact
from nst_core.features.catalogue import load_features
from nst_core.features.network import FeatureNetwork
from nst_core.pictures.photos import Photos
from nst_core.resumable_training import StepLosses
from plugin.engine.stage_progress import StageCallback, download_stage
from plugin.engine.training.device_tuning import intervals_for, photos_for


@dataclass(frozen=True)
class DistillRequest:
    """A distillation.

    Attributes:
        photos, paintings: folders or tars of pictures to learn from.
        output: the file of the feature network; its checkpoint is next to it, with the suffix .checkpoint.
        teacher: the feature network to learn from, as for ``load_features``.
        device: as for ``choose_device``.
        start: the file of a feature network that a new training begins with.
        held_out: photos that the training does not see, to measure how well the networks agree.
    """

    photos: Path
    paintings: Path
    output: Path
    settings: DistillSettings
    teacher: str
    device: str = "auto"
    start: Path | None = None
    held_out: Path | None = None


def distill_features(
    request: DistillRequest, progress: Callable[[StepLosses], bool], stage: StageCallback
) -> dict[str, Any]:
    """Train a small feature network, save it, and return a report.

    The checkpoint is kept up to date, and an existing one is resumed. Raises StyleError for whatever cannot be read or
    written.
    """
    device, settings, output = choose_device(request.device), request.settings, request.output
    teacher = load_features(request.teacher, progress=download_stage(request.teacher, stage))
    photos, paintings = (
        photos_for(source, settings.crop, device, DISTILL_LEAST_CROP) for source in (request.photos, request.paintings)
    )
    held_out = Photos(request.held_out, settings.crop) if request.held_out else None
    start = load_features(str(request.start)) if request.start else None
    data = DistillData(teacher, photos, paintings, start, device)
    training = Distillation(data, settings, output.with_suffix(".checkpoint"), intervals_for(device))
    student = training.run(progress)
    origin = {
        "teacher": teacher.name,
        "steps": str(training.step_count),
        "settings": json.dumps(asdict(settings)),
        "photos": str(len(photos)),
        "paintings": str(len(paintings)),
    }
    save_compact(student, output, origin)
    report: dict[str, Any] = {"output": str(output), "steps": training.step_count, "teacher": teacher.name}
    report["photos_skipped"] = [*photos.skipped, *paintings.skipped]
    if held_out:
        report["agreement"] = _agreement(output, teacher, held_out, device)
    return report


def _agreement(output: Path, teacher: FeatureNetwork, photos: Photos, device: torch.device) -> dict[str, float]:
    """Return the correlation with the teacher by layer, as the network was saved, in half precision."""
    saved = load_features(str(output)).to(device)
    pictures = (photo.to(device) for photo in photos.wholes())
    correlations = agreement(saved, teacher, pictures, GATYS_STYLE_LAYERS)
    return {layer: round(value, 4) for layer, value in correlations.items()}
