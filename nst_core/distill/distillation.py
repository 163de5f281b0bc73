"""Train a slim VGG-19 to predict the features of a larger network: how ``compact`` was made.

After Wang et al. 2020 (arXiv 2003.08436), whose slim VGG-19 also has 1x1 heads. Here the whole network learns from
random weights, and from the pictures that occur in an iterative render: photos, paintings, and mixtures of them. The
heads are linear, without a ReLU after them, so a render, which uses inner products of features alone, needs only the
network's own channels (``condensed``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nst_core.base.errors import StyleError
from nst_core.base.objective_settings import GATYS_STYLE_LAYERS
from nst_core.base.training_settings import DistillSettings, TrainingIntervals
from nst_core.distill.head_losses import head_losses
from nst_core.distill.student import (
    CONV_LAYERS,
    copy_weights,
    freeze_before,
    in_teacher_units,
    new_student,
    relu_of,
)
from nst_core.distill.student_renders import StudentRenders
from nst_core.features.network import FeatureNetwork
from nst_core.features.vgg import VGGNetwork
from nst_core.pictures.photos import PictureSource
from nst_core.resumable_training import ResumableTraining

# The smallest crop of a photo, as a share of its short side. Crops then range from sharp fine detail to whole scenes.
DISTILL_LEAST_CROP = 0.35
SCALE_BATCHES = 16


@dataclass(frozen=True, eq=False)
class DistillData:
    """The data and the device of a distillation.

    Attributes:
        teacher: the network to predict, at relu1_1 to relu5_1.
        photos, paintings: the pictures to learn on.
        start: a network that a new distillation begins with, as ``load_features`` reads it; None begins with random
            weights. A resumed distillation ignores it.
        device: the device that computes.
    """

    teacher: FeatureNetwork
    photos: PictureSource
    paintings: PictureSource
    start: FeatureNetwork | None = None
    device: torch.device = torch.device("cpu")


class Distillation(ResumableTraining[DistillSettings, VGGNetwork]):
    """One training of a slim feature network.

    Raises StyleError if the checkpoint is another training's, if ``data.start`` has another shape or is missing, or if
    the teacher lacks a layer.
    """

    checkpoint_format = 3

    def __init__(
        self,
        data: DistillData,
        settings: DistillSettings,
        path: Path,
        intervals: TrainingIntervals = TrainingIntervals(),
    ) -> None:
        super().__init__(settings, path, intervals)
        self.data = data
        data.teacher.check(CONV_LAYERS)
        self.layers = _layers_to_learn(settings, data.start)
        self.teacher = data.teacher.to(data.device)
        saved = self.read_checkpoint()
        if saved and saved["teacher"] != self.teacher.name:
            raise StyleError(
                f"{path} is from a training with the teacher {saved['teacher']} instead of {self.teacher.name}; use "
                "the same one, or another output file."
            )
        scales = saved["scales"] if saved else self._measure_scales()
        self.scales = {layer: scale.to(data.device) for layer, scale in scales.items()}
        torch.manual_seed(settings.seed)
        self.student = new_student(settings, {layer: scale.numel() for layer, scale in self.scales.items()})
        self.student = self.student.to(data.device).train()
        self.learning = freeze_before(self.student, self.layers[0])
        self.trunk = self.student.without_heads()  # the layers that the heads read
        self.optimizer = torch.optim.AdamW(self.learning, settings.learning_rate)
        self.renders = StudentRenders(data.photos, data.paintings, settings, data.device)
        if data.start is not None:
            copy_weights(self.student, data.start, self.scales)
        if saved:
            self._resume(saved)

    def next_batch(self) -> Tensor:
        """Return the pictures of the next step: photos and paintings, and those that the student itself paints."""
        step, device = self.step_count + 1, self.data.device
        batch = training_batch(self.data.photos, self.data.paintings, self.settings, step).to(device)
        rendered = self.renders.step(step, self.result())
        return torch.cat([batch, rendered]).contiguous(memory_format=torch.channels_last)

    def step(self, batch: Tensor) -> dict[str, Tensor]:
        """Update the weights once, from pictures [N, 3, h, w]. Return the losses by layer, and ``gram``."""
        with torch.autocast(self.data.device.type, torch.bfloat16, enabled=self.settings.mixed_precision):
            with torch.no_grad():
                before = self.teacher(batch, self.layers)
            own = self.trunk(batch, [relu_of(layer) for layer in self.layers])
        pairs = {
            layer: head_losses(self.student, layer, own[relu_of(layer)], before[layer], self.scales[layer])
            for layer in self.layers
        }
        losses = {relu_of(layer): loss for layer, (loss, _) in pairs.items()}
        gram = torch.stack([loss for _, loss in pairs.values()]).sum()
        self.update(torch.stack([*losses.values()]).sum() + self.settings.gram_weight * gram)
        return losses | {"gram": gram}

    def state(self) -> dict[str, Any]:
        """Return the student's weights, its renders, and the teacher's name and scales."""
        return {
            "teacher": self.teacher.name,
            "scales": self.scales,
            "network": self.student.state_dict(),
            "renders": self.renders.state_dict(),
        }

    def result(self) -> VGGNetwork:
        """Return the student, in the teacher's units."""
        return in_teacher_units(self.student, self.scales)

    def _resume(self, saved: dict[str, Any]) -> None:
        self.student.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.renders.load_state_dict(saved["renders"])
        self.step_count = saved["step"]

    def _measure_scales(self) -> dict[str, Tensor]:
        """Return the standard deviation of each of the teacher's channels over some photos, [1, C, 1, 1] by layer."""
        settings = self.settings
        squares: dict[str, Tensor] = {}
        with torch.no_grad():
            for step in range(SCALE_BATCHES):
                batch = self.data.photos.batch(step, settings.batch, settings.crop, settings.seed, DISTILL_LEAST_CROP)
                for layer, value in self.teacher(batch.to(self.data.device), CONV_LAYERS).items():
                    squares[layer] = squares.get(layer, 0.0) + value.var((0, 2, 3), keepdim=True) / SCALE_BATCHES
        return {layer: value.sqrt().clamp_min(1e-6) for layer, value in squares.items()}


def training_batch(photos: PictureSource, paintings: PictureSource, settings: DistillSettings, step: int) -> Tensor:
    """Return the batch of a step, float32 [N, 3, crop, crop] in 0..1.

    Half of it is photos, a quarter paintings, and a quarter mixtures of a photo and a painting.
    """
    n, mixtures = settings.batch, settings.batch // 4
    photo = photos.batch(step, n - mixtures, settings.crop, settings.seed, DISTILL_LEAST_CROP)
    painting = paintings.batch(step, 2 * mixtures, settings.crop, settings.seed, DISTILL_LEAST_CROP)
    share = np.random.default_rng([settings.seed, step, 2]).random((mixtures, 1, 1, 1), np.float32)
    mixed = torch.lerp(photo[:mixtures], painting[:mixtures], torch.from_numpy(share).to(photo.device))
    return torch.cat([photo[mixtures:], painting[mixtures:], mixed])


def _layers_to_learn(settings: DistillSettings, start: FeatureNetwork | None) -> tuple[str, ...]:
    """Return the part of CONV_LAYERS that learns. Raises StyleError if the rest has nothing to start from."""
    if settings.first_layer not in GATYS_STYLE_LAYERS:
        raise StyleError(
            f"There is no layer {settings.first_layer!r} to learn; choose from {', '.join(GATYS_STYLE_LAYERS)}."
        )
    layers = CONV_LAYERS[GATYS_STYLE_LAYERS.index(settings.first_layer) :]
    if layers != CONV_LAYERS and start is None:
        raise StyleError(f"The layers before {settings.first_layer} stay as they are; give a network to start from.")
    return layers
