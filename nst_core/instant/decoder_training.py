"""Train a decoder on pictures alone: encode, decode, compare.

The encoder, ``compact``, stays as it is. Half of the pictures are photos, a quarter paintings, and a quarter dead
leaves, since a decoder that paints meets edges and colours that photos lack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nst_core.base.errors import StyleError
from nst_core.base.training_settings import DecoderSettings, TrainingIntervals
from nst_core.checkpoint_file import write_checkpoint
from nst_core.features.vgg import VGGNetwork
from nst_core.instant.decoder import Decoder, layer_of
from nst_core.instant.feature_statistics import statistics_loss, whitened_and_coloured
from nst_core.pictures.dead_leaves import DeadLeaves
from nst_core.pictures.photos import PictureSource

CHECKPOINT_FORMAT = 1
# The smallest crop of a picture, as a share of its short side: the decoder sees fine detail and whole scenes.
DECODER_LEAST_CROP = 0.35


@dataclass(frozen=True)
class DecoderProgress:
    """A decoder's training after a step: the steps done, the steps in all, and the losses of that step by name."""

    step: int
    steps: int
    losses: dict[str, float]


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


class DecoderTraining:
    """One training of a decoder, which keeps the checkpoint ``path`` up to date.

    If ``path`` exists, the training resumes from it and ends with the same weights as without the break. Raises
    StyleError if the checkpoint is another training's.
    """

    def __init__(
        self,
        data: DecoderData,
        settings: DecoderSettings,
        path: Path,
        intervals: TrainingIntervals = TrainingIntervals(),
    ) -> None:
        self.data, self.settings, self.path, self.intervals = data, settings, path, intervals
        self.layer = layer_of(settings.level)
        self.encoder = data.encoder.to(data.device)
        self.step_count = 0
        saved = _load(path, settings) if path.exists() else None
        torch.manual_seed(settings.seed)
        if saved:
            first = next(iter(saved["network"].values()))
            self.decoder = Decoder(settings.level, first.shape[1])
        else:
            self.decoder = data.start()
        self.decoder = self.decoder.to(data.device).to(memory_format=torch.channels_last).train()
        self.optimizer = torch.optim.Adam(self.decoder.parameters(), settings.learning_rate)
        if saved:
            self.decoder.load_state_dict(saved["network"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.step_count = saved["step"]

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step_count >= self.settings.steps

    def run(self, progress: Callable[[DecoderProgress], bool]) -> Decoder:
        """Train until all steps are done, and return the decoder.

        ``progress`` is called at every report and every checkpoint; after the step for which it returns False the
        training stops. On a StyleError, such as that of a damaged photo, the checkpoint is written before it is raised.
        """
        go_on = True
        while go_on and not self.finished:
            try:
                batch = training_batch(self.data.photos, self.data.paintings, self.settings, self.step_count + 1)
            except StyleError:
                self._save()
                raise
            go_on = self._report(self.step(batch.to(self.data.device)), progress)
        return self.decoder

    def step(self, batch: Tensor) -> dict[str, Tensor]:
        """Update the weights once, from pictures [N, 3, h, w]. Return the losses by name."""
        settings = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate_at(self.step_count)
        self.optimizer.zero_grad()
        batch = batch.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.data.device.type, torch.bfloat16, enabled=settings.mixed_precision):
            with torch.no_grad():
                features = self.encoder(batch, [self.layer])[self.layer]
            losses = self._reconstruction(batch, features)
            if settings.style_weight:
                losses["style"] = settings.style_weight * self._style(features)
        torch.stack([*losses.values()]).sum().backward()
        nn.utils.clip_grad_norm_(self.decoder.parameters(), 1.0)
        self.optimizer.step()
        self.step_count += 1
        return {name: loss.detach() for name, loss in losses.items()}

    def _reconstruction(self, batch: Tensor, features: Tensor) -> dict[str, Tensor]:
        decoded = self.decoder(features).float()
        losses = {"pixels": (decoded - batch).square().mean()}
        if self.settings.feature_weight:
            again = self.encoder(decoded, [self.layer])[self.layer].float()
            error = (again - features).square().mean() / features.float().square().mean()
            losses["features"] = self.settings.feature_weight * error
        return losses

    def _style(self, features: Tensor) -> Tensor:
        """Return how far pictures decoded from transformed activations are from the activations' statistics.

        Each picture takes the statistics of the next one in the batch.
        """
        style = features.roll(1, 0).float()
        with torch.no_grad(), torch.autocast(self.data.device.type, enabled=False):
            wanted = whitened_and_coloured(features.float(), style)
        painted = self.encoder(self.decoder(wanted).clamp(0, 1), [self.layer])[self.layer].float()
        content = (painted - wanted).square().mean() / wanted.square().mean()
        loss: Tensor = statistics_loss(painted, style) + content
        return loss

    def _report(self, losses: Mapping[str, Tensor], progress: Callable[[DecoderProgress], bool]) -> bool:
        """Report and save if they are due. Return whether to continue."""
        step, steps = self.step_count, self.settings.steps
        saving = step % self.intervals.save == 0 or step == steps
        if not saving and step % self.intervals.report:
            return True
        values = torch.stack([*losses.values()]).tolist()
        go_on = progress(DecoderProgress(step, steps, dict(zip(losses, values, strict=True))))
        if saving or not go_on:
            self._save()
        return go_on

    def _save(self) -> None:
        state = {
            "format": CHECKPOINT_FORMAT,
            "settings": asdict(self.settings),
            "step": self.step_count,
            "network": self.decoder.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        write_checkpoint(state, self.path)


def training_batch(photos: PictureSource, paintings: PictureSource, settings: DecoderSettings, step: int) -> Tensor:
    """Return the batch of a step, float32 [N, 3, crop, crop] in 0..1: photos, paintings and dead leaves."""
    quarter = max(1, settings.batch // 4)
    crops = [
        source.batch(step, count, settings.crop, settings.seed, DECODER_LEAST_CROP)
        for source, count in ((photos, settings.batch - 2 * quarter), (paintings, quarter), (DeadLeaves(), quarter))
    ]
    return torch.cat([crop.to(crops[0].device) for crop in crops])


def _load(path: Path, settings: DecoderSettings) -> dict[str, Any]:
    """Read a checkpoint. Raises StyleError if it is not one, or if its level or its data's settings differ."""
    try:
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        earlier = DecoderSettings(**saved["settings"])
        ours = saved["format"] == CHECKPOINT_FORMAT
    except Exception as error:  # the lines above raise many kinds of error for a file that is not a checkpoint
        raise StyleError(f"{path} is not a checkpoint of a decoder's training; choose another output file.") from error
    # How long and how fast it trains may change; what it learns may not.
    if not ours or replace(earlier, steps=settings.steps, mixed_precision=settings.mixed_precision) != settings:
        raise StyleError(f"{path} is from a training with other settings; use the same ones, or another output file.")
    return saved
