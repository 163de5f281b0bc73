"""The iterative render of Gatys et al. 2015 (arXiv 1508.06576).

A picture is optimised until its features are close to the photo's and its Gram matrices close to the painting's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import IterativeSettings
from nst_core.base.language import _
from nst_core.features.network import FeatureNetwork
from nst_core.iterative.iterative_checkpoint import IterativeCheckpoint, load_checkpoint, origin_of, save_checkpoint
from nst_core.iterative.optimizers import new_optimizer, take_step
from nst_core.iterative.stage_objective import StageObjective
from nst_core.iterative.stages import Stage, plan_stages
from nst_core.losses.guided_objective import StyleGuide
from nst_core.pictures.resize import resized


@dataclass(frozen=True)
class IterativeProgress:
    """The state of a render after an iteration.

    Attributes:
        iteration, iterations: how many are done, and how many there are, over all sizes.
        losses: weighted, by name, before the iteration.
        image: the picture after it, [1, 3, H, W] in 0..1, at the size that is being painted.
        note: a sentence on why the render ended early, in the last progress only.
    """

    iteration: int
    iterations: int
    losses: dict[str, float]
    image: Tensor
    note: str = ""


@dataclass(frozen=True, eq=False)
class RenderOptions:
    """The start, the checkpoint and the regions of a render.

    Attributes:
        initial: a picture to start from in place of ``settings.start``, [1, 3, h, w], such as an earlier result; it is
            scaled to the first size.
        checkpoint: a file to write after every ``checkpoint_every`` iterations and when ``progress`` stops the render.
            If it exists, the render resumes from it: on a CPU the result is the same, bit for bit, as without the
            break. Remove it once the result is safe.
        guides: the styles of the photo's regions; with guides, the style picture is only a picture to start from.
    """

    initial: Tensor | None = None
    checkpoint: Path | None = None
    checkpoint_every: int = 100
    guides: tuple[StyleGuide, ...] = ()


def render(
    photo: Tensor,
    style: Tensor,
    features: FeatureNetwork,
    settings: IterativeSettings,
    progress: Callable[[IterativeProgress], bool],
    options: RenderOptions = RenderOptions(),
) -> IterativeProgress:
    """Paint ``photo`` in the style of ``style`` (both [1, 3, h, w], RGB, sRGB-encoded 0..1).

    Returns the last progress; its ``image`` is the result. The render ends after the iteration for which ``progress``
    returns False. It also ends, with a ``note``, when the loss is not a number: the result is then the last picture
    with a finite loss.

    Raises StyleError for an unknown layer, a photo too narrow, a loss that is not a number in the first iteration, or
    the checkpoint of another render.
    """
    return _Render(photo, style, features, settings, options).run(progress)


class _Render:
    """A render and its state.

    Attributes:
        done: the last progress.
        last_finite: the last progress whose picture is known to have a finite loss.
    """

    def __init__(
        self,
        photo: Tensor,
        style: Tensor,
        features: FeatureNetwork,
        settings: IterativeSettings,
        options: RenderOptions,
    ) -> None:
        self.photo, self.style, self.features, self.settings, self.options = photo, style, features, settings, options
        pictures = (photo, style, options.initial)
        self.origin = origin_of(pictures, features, settings, options.guides) if options.checkpoint else {}
        self.plan = plan_stages(features, settings, *photo.shape[-2:])
        self.iterations = self.plan[-1].last
        # L-BFGS has no learning rate: the schedule begins after it.
        self.scheduled_after = next((stage.first - 1 for stage in self.plan if stage.optimizer != "lbfgs"), 0)
        self.objective = self._objective_of(self.plan[0])
        first = first_picture(self.objective.photo, style, settings) if options.initial is None else options.initial
        first = resized(first, *self.objective.photo.shape[-2:])
        self.last_finite = self.done = IterativeProgress(0, self.iterations, {}, first)
        self.optimizer: torch.optim.Optimizer | None = None

    def run(self, progress: Callable[[IterativeProgress], bool]) -> IterativeProgress:
        """Take all iterations, or those until ``progress`` returns False; return the last progress."""
        path = self.options.checkpoint
        saved = load_checkpoint(path, self.origin) if path and path.exists() else None
        for stage in self.plan:
            if saved is not None and saved.iteration > stage.last:
                continue
            image, optimizer, average = self._begin(stage)
            if saved is not None:
                self._resume(saved, image, optimizer, average)
                saved = None
            for iteration in range(max(stage.first, self.done.iteration + 1), stage.last + 1):
                losses = self._step(stage, iteration, image, optimizer)
                if not isfinite(losses["total"]):
                    return _ended_early(self.last_finite, iteration)
                with torch.no_grad():
                    picture = average.add(image).clamp(0, 1)
                self.last_finite, self.done = self.done, IterativeProgress(iteration, self.iterations, losses, picture)
                go_on = progress(self.done)
                if (
                    path
                    and iteration < self.iterations
                    and (iteration % self.options.checkpoint_every == 0 or not go_on)
                ):
                    self._save(path, image, optimizer, average)
                if not go_on:
                    return self.done
        return self.done

    def _objective_of(self, stage: Stage) -> StageObjective:
        pictures = self.photo, self.style
        return StageObjective(pictures, self.features, self.settings, stage, self.options.guides)

    def _begin(self, stage: Stage) -> tuple[Tensor, torch.optim.Optimizer, _Average]:
        """Return the picture that ``stage`` optimises, its optimiser and its average."""
        if stage is not self.plan[0]:
            self.objective = self._objective_of(stage)
        # Contiguous, unlike a picture that was transposed from [H, W, 3].
        image = resized(self.done.image, *self.objective.photo.shape[-2:]).clone(memory_format=torch.contiguous_format)
        image.requires_grad_(True)
        self.optimizer = new_optimizer(stage.optimizer, image, self.settings, self.optimizer)
        return image, self.optimizer, _Average(self.settings.average)

    def _resume(
        self, saved: IterativeCheckpoint, image: Tensor, optimizer: torch.optim.Optimizer, average: _Average
    ) -> None:
        image.data.copy_(saved.variable)
        optimizer.load_state_dict(saved.optimizer)
        average.sum, average.count = saved.average, saved.averaged
        picture = saved.picture.to(image.device)
        self.last_finite = self.done = IterativeProgress(saved.iteration, self.iterations, saved.losses, picture)

    def _step(self, stage: Stage, iteration: int, image: Tensor, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        """Take one iteration; return the losses before it."""
        if stage.optimizer != "lbfgs":
            optimizer.param_groups[0]["lr"] = self.settings.learning_rate_at(
                iteration - 1 - self.scheduled_after, self.iterations - self.scheduled_after
            )
        losses = take_step(optimizer, image, lambda values: self.objective(values, iteration - 1))
        # L-BFGS's picture is not clamped: moving it would spoil the curvature that was measured.
        if stage.optimizer != "lbfgs" and isfinite(losses["total"]):
            with torch.no_grad():
                image.clamp_(0, 1)
        return losses

    def _save(self, path: Path, image: Tensor, optimizer: torch.optim.Optimizer, average: _Average) -> None:
        done = self.done
        state = done.losses, done.image, image.detach(), average.sum, average.count, optimizer.state_dict()
        save_checkpoint(IterativeCheckpoint(self.origin, done.iteration, *state), path)


class _Average:
    """The exponential moving average of pictures, corrected for its start at zero (like Adam's moments)."""

    def __init__(self, decay: float) -> None:
        self.decay, self.count, self.sum = decay, 0, torch.zeros(())

    def add(self, image: Tensor) -> Tensor:
        """Return the average with one more picture; that picture itself if the decay is 0."""
        if not self.decay:
            return image
        self.count += 1
        self.sum = torch.lerp(image, self.sum.to(image), self.decay)
        return self.sum / (1 - self.decay**self.count)


def first_picture(photo: Tensor, style: Tensor, settings: IterativeSettings) -> Tensor:
    """Return the picture that ``settings.start`` names, in the size of ``photo``; all [1, 3, h, w] in 0..1."""
    if settings.start == "noise":  # from the CPU's generator: the same on every device
        values = torch.rand(photo.shape, generator=torch.Generator().manual_seed(settings.seed)).to(photo)
        return 0.5 + settings.noise * (values - 0.5)
    return resized(style, *photo.shape[-2:]) if settings.start == "style" else photo


def _ended_early(last_finite: IterativeProgress, iteration: int) -> IterativeProgress:
    """Return ``last_finite`` with a note on why it is the last. Raises StyleError if ``iteration`` is the first."""
    if iteration == 1:
        raise StyleError(
            _(
                "Nothing can be painted, since the loss of iteration 1 is not a number; make the weights smaller or "
                "choose other features."
            )
        )
    text = _(
        "The render ended early, since the loss of iteration {iteration} is not a number; this is the picture of "
        "iteration {good}."
    )
    return replace(last_finite, note=text.format(iteration=iteration, good=last_finite.iteration))
