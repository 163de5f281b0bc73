"""Train a transformer network for one style or several (Johnson et al. 2016); resuming it changes no bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_core.base.errors import StyleError
from nst_core.base.training_settings import TrainingIntervals, TrainSettings
from nst_core.fast import distributed
from nst_core.fast.starting_network import StartingNetwork
from nst_core.fast.step_budget import StepBudget
from nst_core.fast.style_pictures import check_style_pictures, prepare_style_picture, style_checksums
from nst_core.fast.style_schedule import row_mixtures, style_schedule
from nst_core.fast.training_checkpoint import TrainingCheckpoint, load_training, save_training
from nst_core.fast.transformer import TransformerNetwork, is_row_parameter, paint_every_row
from nst_core.features.network import FeatureNetwork
from nst_core.losses.metrics import mesh
from nst_core.losses.rows_objective import RowsObjective
from nst_core.pictures.photos import PictureSource
from nst_core.pictures.views import Tilt, random_tilt

# The share of each photo, where it is flattest, that is searched for a mesh; elsewhere strokes hide it.
MESH_SHARE = 0.5
# Channels last is a sixth faster on a CPU, and tensor cores need it.
LAYOUT = torch.channels_last


@dataclass(frozen=True)
class TrainProgress:
    """A training after a step.

    Attributes:
        step, steps: the steps done and the steps in all; 0 while a budget in minutes leaves that open.
        losses: the weighted losses of that step, by name.
        paintings: the preview photos by every row, [rows, N, 3, h, w], at every checkpoint; otherwise None.
    """

    step: int
    steps: int
    losses: dict[str, float]
    paintings: Tensor | None = None


TrainCallback = Callable[[TrainProgress], bool]
"""Returns False to stop the training."""


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The data of a training.

    Attributes:
        styles: the style pictures, each [1, 3, h, w], RGB, sRGB-encoded 0..1; the training runs on their device.
        photos: the photos to paint.
        features: the feature network that judges the paintings.
        start: the network that a new training begins with; None begins from scratch. A resumed training ignores it.
        preview: photos, [N, 3, h, w] in 0..1, to paint by every row at every checkpoint.
    """

    styles: Sequence[Tensor]
    photos: PictureSource
    features: FeatureNetwork
    start: StartingNetwork | None = None
    preview: Tensor | None = None


class Training:
    """One training of a transformer network, which keeps the checkpoint ``path`` up to date.

    If ``path`` exists, the training resumes from it and ends with the same weights as without the break.
    ``settings.network.styles`` is the number of styles; they take turns within each batch, and each photo is painted in
    one of them. ``compiled`` lets PyTorch compile the networks first, which may pay off in a long training on a GPU.

    With a budget in minutes, the time of the first steps decides the number of steps, and the checkpoint keeps it. From
    then on the training is the same, bit for bit, as one with that number of ``steps`` (if they are more than a
    handful). A resumed training ends where an uninterrupted one would, however fast it runs. If the checkpoint already
    has a budget, a new budget changes the number of steps in proportion; if not, the new budget begins at the
    checkpoint.

    With several processes (see distributed.py), each makes a ``Training`` and runs it. They share every batch, and the
    losses reported are those of the whole batch. The first process writes the checkpoint; any may stop the training.

    Raises StyleError if the checkpoint is another training's, if ``data.start`` has another shape, if a style picture
    is too small, or if the processes cannot share the batch evenly.
    """

    def __init__(
        self,
        data: TrainingData,
        settings: TrainSettings,
        path: Path,
        intervals: TrainingIntervals = TrainingIntervals(),
        compiled: bool = False,
    ) -> None:
        self._share = distributed.batch_share(settings.batch)
        check_style_pictures(data.styles)
        self.settings = replace(settings, steps=0) if settings.minutes else settings
        self.path, self.intervals, self.photos = path, intervals, data.photos
        self.device = data.styles[0].device
        self.features = data.features.to(self.device)
        styles = [prepare_style_picture(style, settings) for style in data.styles]
        self.style_sha256 = style_checksums(styles)
        self.preview = None if data.preview is None else data.preview.to(self.device)
        objective = RowsObjective(self.features, settings.rows, styles, settings.mean_weight)
        torch.manual_seed(settings.seed)
        self.network = TransformerNetwork(settings.network).to(self.device).to(memory_format=LAYOUT).train()
        self.optimizer = torch.optim.Adam(_parameter_groups(self.network, settings.row_rate), settings.learning_rate)
        self.step_count, self.earlier_steps, self.started_from = 0, 0, ""
        # All processes resume from the first one's file: they may be on other machines.
        checkpoint = distributed.gather(load_training(path) if path.exists() else None)[0]
        if checkpoint is not None:
            self._resume(checkpoint)
        elif data.start is not None:
            self._start_from(data.start)
        distributed.broadcast_weights(self.network)
        self._paint, self._content_targets, self._objective = _parts(self.network, objective, compiled)

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        if self.settings.minutes and not self.settings.steps:
            return False
        return self.step_count >= self.settings.steps

    def run(self, progress: TrainCallback) -> TrainingCheckpoint:
        """Train until all steps are done, and return the result.

        ``progress`` is called at every report and every checkpoint; after the step for which it returns False the
        training stops. On a StyleError, here or in another process, the checkpoint is written before it is raised.
        """
        go_on = True
        try:
            budget = StepBudget(60 * (self.settings.minutes or 0), self.step_count)
            while go_on and not self.finished:
                losses = self.step()
                if self.settings.minutes and not self.settings.steps:
                    steps = distributed.gather(budget.after_step())[0]
                    self.settings = replace(self.settings, steps=steps)
                go_on = self._report(losses, progress)
        except StyleError:
            self._save()
            raise
        return self.checkpoint()

    def step(self) -> dict[str, Tensor]:
        """Update the weights once. Return the weighted losses by name, averaged over the processes."""
        settings, step, styles = self.settings, self.step_count, self.settings.network.styles
        for group, rate in zip(self.optimizer.param_groups, (1.0, settings.row_rate), strict=False):
            group["lr"] = settings.learning_rate_at(step) * rate
        chosen, mixtures = (
            torch.from_numpy(values[self._share]).to(self.device, non_blocking=True)
            for values in (style_schedule(step, settings.batch, styles, settings.seed), row_mixtures(step, settings))
        )
        self.optimizer.zero_grad()
        batch = self.photos.batch(step, settings.batch, settings.crop, settings.seed, part=self._share)
        batch = batch.to(self.device, memory_format=LAYOUT, non_blocking=True)
        losses = self._losses(batch, chosen, mixtures)
        losses["total"].backward()
        distributed.gather()  # raises if another process has failed, whose gradients would never come
        means = {name: value.detach() for name, value in losses.items()}
        gradients = [cast(Tensor, weight.grad) for weight in self.network.parameters()]
        distributed.average([*gradients, *means.values()])
        self.optimizer.step()
        self.step_count += 1
        return means

    def checkpoint(self) -> TrainingCheckpoint:
        """Return the training as it stands."""
        return TrainingCheckpoint(
            self.settings,
            self.step_count,
            self.network,
            self.optimizer.state_dict(),
            self.features.name,
            self.style_sha256,
            len(self.photos),
            self.earlier_steps,
            self.started_from,
        )

    def _losses(self, batch: Tensor, chosen: Tensor, mixtures: Tensor) -> dict[str, Tensor]:
        """Return the weighted losses of the paintings of ``batch`` in the styles ``chosen``, int64 [N].

        ``mixtures``, [N, rows of a style], has each painting's share of each row.
        """
        settings, tilt = self.settings, self._tilt()
        chosen_rows = F.one_hot(chosen, settings.network.styles).float()[:, :, None] * mixtures[:, None]
        style_weights, others = chosen_rows.flatten(1), dict[str, Tensor]()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=settings.mixed_precision):
            paintings = self._paint(batch, style_weights)
            targets = self._content_targets(tilt.of(batch))
            losses: dict[str, Tensor] = self._objective(tilt.of(paintings), targets, chosen, mixtures)
            if settings.steady_weight:
                others["steady"] = settings.steady_weight * self._unsteadiness(batch, paintings, style_weights)
        others["mesh"] = settings.mesh_weight * mesh(paintings.float(), batch, MESH_SHARE).clamp_min(0).mean()
        return losses | others | {"total": torch.stack([losses["total"], *others.values()]).sum()}

    def _tilt(self) -> Tilt:
        return random_tilt(self.settings.turn, self.settings.zoom, self.settings.seed, self.step_count)

    def _unsteadiness(self, batch: Tensor, paintings: Tensor, style_weights: Tensor) -> Tensor:
        """Return the mean absolute difference of ``paintings`` from paintings of the same photos with noise."""
        generator = torch.Generator(self.device).manual_seed(self.settings.seed + self.step_count)
        noise = torch.empty_like(batch).normal_(0, self.settings.steady_noise, generator=generator)
        again = self._paint((batch + noise).clamp(0, 1), style_weights)
        difference: Tensor = (paintings - again).float().abs().mean()
        return difference

    def _report(self, losses: dict[str, Tensor], progress: TrainCallback) -> bool:
        """Report and save if they are due. Return whether to continue."""
        step, steps = self.step_count, self.settings.steps
        preview_due = step % self.intervals.save == 0
        saving = preview_due or step == steps
        if not saving and step % self.intervals.report:
            return True
        values = dict(zip(losses, torch.stack([*losses.values()]).tolist(), strict=True))
        paintings = None
        if self.preview is not None and preview_due:
            paintings = paint_every_row(self.network, self.preview)
        go_on = all(distributed.gather(progress(TrainProgress(step, steps, values, paintings))))
        if saving or not go_on:
            self._save()
        return go_on

    def _save(self) -> None:
        if distributed.rank() == 0:
            save_training(self.checkpoint(), self.path)

    def _resume(self, checkpoint: TrainingCheckpoint) -> None:
        earlier, settings = checkpoint.settings, self.settings
        if settings.minutes and earlier.minutes:
            settings = replace(settings, steps=round(earlier.steps * (settings.minutes / earlier.minutes)))
        if len(self.photos) == 0 and checkpoint.photos:
            raise StyleError(f"{self.path} is from a training with photos; give them again.")
        # How long and how fast it trains may change; what it learns may not.
        comparable = replace(
            earlier, steps=settings.steps, minutes=settings.minutes, mixed_precision=settings.mixed_precision
        )
        differences = self._differences(checkpoint, comparable, settings)
        if differences:
            raise StyleError(
                f"{self.path} is from a training with {' and '.join(differences)}; use the same, or choose another "
                "output file."
            )
        self.settings = settings
        self.network.load_state_dict(checkpoint.network.state_dict())
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.step_count, self.earlier_steps = checkpoint.step, checkpoint.earlier_steps
        self.started_from = checkpoint.started_from

    def _differences(
        self, checkpoint: TrainingCheckpoint, earlier: TrainSettings, settings: TrainSettings
    ) -> list[str]:
        """Return what the checkpoint's training learns that this one does not, in words."""
        differences = []
        if checkpoint.style_sha256 != self.style_sha256:
            differences.append("another style picture")
        if checkpoint.feature_network != self.features.name:
            differences.append(f"the feature network {checkpoint.feature_network} instead of {self.features.name}")
        if earlier.network.rows_per_style < settings.network.rows_per_style:
            differences.append("no choice of detail (--no-detail)")
        else:
            names = [field.name for field in fields(settings)]
            other = [name for name in names if getattr(earlier, name) != getattr(settings, name)]
            differences += [f"other settings ({', '.join(other)})"] if other else []
        return differences

    def _start_from(self, start: StartingNetwork) -> None:
        if not start.network.settings.has_shape_of(self.settings.network):
            raise StyleError(f"The network to start from {start.network.settings.in_words}; train with the same shape.")
        self.network.start_from(start.network, start.styles)
        self.earlier_steps, self.started_from = start.steps, start.title


def training_bytes_per_pixel(features: FeatureNetwork, settings: TrainSettings) -> int:
    """Return the peak memory of a training step per pixel of a batch; at width 16, measured to be within a fifth."""
    layers = {layer for row in settings.rows for layer in row.layers}
    judge = round(1.15 * features.condensed()[0].bytes_per_pixel(layers))
    return judge + 220 * settings.network.width * (2 if settings.steady_weight else 1)


def _parameter_groups(network: TransformerNetwork, row_rate: float) -> list[dict[str, Any]]:
    """Return the optimiser's groups: the parameters that learn at the learning rate, and rows that learn faster."""
    if row_rate == 1:
        return [{"params": list(network.parameters())}]
    named = list(network.named_parameters())
    rows = [weight for name, weight in named if is_row_parameter(name)]
    others = [weight for name, weight in named if not is_row_parameter(name)]
    return [{"params": others}, {"params": rows}]


def _parts(network: TransformerNetwork, objective: RowsObjective, compiled: bool) -> list[Any]:
    """Return what computes a step: the network, the content targets and the losses."""
    parts: list[Any] = [network, objective.content_targets, objective.__call__]
    if compiled:
        torch.compiler.reset()  # PyTorch limits how many versions of one function it compiles
        parts = [torch.compile(part) for part in parts]
    return parts
