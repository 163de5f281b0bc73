"""Train a decoder on pictures alone: encode, decode, compare.

The encoder, ``compact``, stays as it is. Half of the pictures are photos, a quarter paintings, and a quarter dead
leaves, since a decoder that paints meets edges and colours that photos lack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_core.base.training_settings import DecoderSettings, TrainingIntervals
from nst_core.features.vgg import VGGNetwork
from nst_core.instant.decoder import Decoder, layer_of
from nst_core.instant.feature_statistics import statistics_loss, whitened_and_coloured
from nst_core.pictures.dead_leaves import DeadLeaves
from nst_core.pictures.photos import PictureSource
from nst_core.resumable_training import ResumableTraining

# The smallest crop of a picture, as a share of its short side: the decoder sees fine detail and whole scenes.
DECODER_LEAST_CROP = 0.35


@dataclass(frozen=True, eq=False)
class DecoderData:
    """The data and the device of a decoder's training.

    Attributes:
        encoder: the network to invert, without heads.
        photos, paintings: the pictures to learn on.
        start: makes the decoder that a new training begins with; a resumed training does not call it.
        device: the device that computes.
    """

    encoder: VGGNetwork
    photos: PictureSource
    paintings: PictureSource
    start: Callable[[], Decoder]
    device: torch.device = torch.device("cpu")


class DecoderTraining(ResumableTraining[DecoderSettings, Decoder]):
    """One training of a decoder. Raises StyleError if the checkpoint is another training's."""

    checkpoint_format = 1

    def __init__(
        self,
        data: DecoderData,
        settings: DecoderSettings,
        path: Path,
        intervals: TrainingIntervals = TrainingIntervals(),
    ) -> None:
        super().__init__(settings, path, intervals)
        self.data = data
        self.layer = layer_of(settings.level)
        self.encoder = data.encoder.to(data.device)
        saved = self.read_checkpoint()
        torch.manual_seed(settings.seed)
        if saved:
            first = next(iter(saved["network"].values()))
            self.decoder = Decoder(settings.level, first.shape[1])
        else:
            self.decoder = data.start()
        self.decoder = self.decoder.to(data.device).to(memory_format=torch.channels_last).train()
        self.learning = [*self.decoder.parameters()]
        self.optimizer = torch.optim.Adam(self.learning, settings.learning_rate)
        if saved:
            self.decoder.load_state_dict(saved["network"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.step_count = saved["step"]

    def next_batch(self) -> Tensor:
        """Return the pictures of the next step."""
        batch = training_batch(self.data.photos, self.data.paintings, self.settings, self.step_count + 1)
        return batch.to(self.data.device)

    def step(self, batch: Tensor) -> dict[str, Tensor]:
        """Update the weights once, from pictures [N, 3, h, w]. Return the losses by name."""
        settings = self.settings
        batch = batch.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.data.device.type, torch.bfloat16, enabled=settings.mixed_precision):
            with torch.no_grad():
                features = self.encoder(batch, [self.layer])[self.layer]
            losses = self._reconstruction(batch, features)
            if settings.style_weight:
                losses["style"] = settings.style_weight * self._style(batch, features)
        self.update(torch.stack([*losses.values()]).sum())
        return {name: loss.detach() for name, loss in losses.items()}

    def state(self) -> dict[str, Any]:
        """Return the decoder's weights."""
        return {"network": self.decoder.state_dict()}

    def result(self) -> Decoder:
        """Return the decoder."""
        return self.decoder

    def _reconstruction(self, batch: Tensor, features: Tensor) -> dict[str, Tensor]:
        decoded = self.decoder(features).float()
        losses = {"pixels": (decoded - batch).square().mean()}
        if self.settings.feature_weight:
            again = self.encoder(decoded, [self.layer])[self.layer].float()
            error = (again - features).square().mean() / features.float().square().mean()
            losses["features"] = self.settings.feature_weight * error
        return losses

    def _style(self, batch: Tensor, features: Tensor) -> Tensor:
        """Return how far pictures decoded from transformed activations are from the statistics of their style.

        The first half of the batch, which are photos, and the second take each other's statistics. They are compared at
        this level and all finer ones, whose textures the decoder has to invent.
        """
        half = len(batch) // 2
        layers = [layer_of(level) for level in range(1, self.settings.level + 1)]
        with torch.no_grad(), torch.autocast(self.data.device.type, enabled=False):
            wanted = whitened_and_coloured(features.float(), features.roll(half, 0).float())
            styles = self.encoder(batch.roll(half, 0), layers)
        painted = self.encoder(self.decoder(wanted).clamp(0, 1), layers)
        content = (painted[self.layer].float() - wanted).square().mean() / wanted.square().mean()
        distances = [statistics_loss(painted[layer].float(), styles[layer].float()) for layer in layers]
        loss: Tensor = torch.stack(distances).mean() + content
        return loss


def training_batch(photos: PictureSource, paintings: PictureSource, settings: DecoderSettings, step: int) -> Tensor:
    """Return the batch of a step, float32 [N, 3, crop, crop] in 0..1: photos, paintings and dead leaves."""
    quarter = max(1, settings.batch // 4)
    crops = [
        source.batch(step, count, settings.crop, settings.seed, DECODER_LEAST_CROP)
        for source, count in ((photos, settings.batch - 2 * quarter), (paintings, quarter), (DeadLeaves(), quarter))
    ]
    return torch.cat([crop.to(crops[0].device) for crop in crops])
