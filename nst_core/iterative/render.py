"""The iterative render: the photo itself is optimised until its features are the photo's and its Gram matrices
the painting's (Gatys et al. 2015, arXiv 1508.06576)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, isfinite
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import IterativeSettings
from nst_core.base.language import _
from nst_core.devices import computes_in_bfloat16
from nst_core.features.network import FeatureNetwork
from nst_core.iterative.iterative_checkpoint import IterativeCheckpoint, load_checkpoint, origin_of, save_checkpoint
from nst_core.iterative.lbfgs import LBFGS
from nst_core.losses.objective import SMALLEST_SIDE, Objective
from nst_core.pictures.resize import resized, resized_to_area, resized_to_long_side
from nst_core.pictures.views import random_view

LBFGS_HISTORY = 20
# Of the iterations at the last size, where Adam takes the others.
LBFGS_SHARE = 1 / 3
# A longer memory than Adam's own for the gradient, since each view has another, and a shorter one for its size.
ADAM_BETAS = (0.95, 0.99)
SMALLEST_GRADIENT = 1e-30


@dataclass(frozen=True)
class IterativeProgress:
    """Reported after every iteration: the weighted losses before it, and the picture after it ([1, 3, H, W], 0..1).

    The iterations are those of all sizes together, and the picture is as large as the size that is being painted.
    ``note``, of the last progress only, is a sentence on why the render ended early.
    """

    iteration: int
    iterations: int
    losses: dict[str, float]
    image: Tensor
    note: str = ""


@dataclass(frozen=True)
class Stage:
    """A part of a render: pixels of the longer side, its iterations, the first and the last one (1-based), and whose
    steps they are: ``lbfgs``, ``adam`` or ``sgd``."""

    size: int
    first: int
    last: int
    optimizer: str


def stages(features: FeatureNetwork, settings: IterativeSettings, height: int, width: int) -> list[Stage]:
    """What a photo of this shape goes through: sizes, each the root of 2 times the one before.

    Those at which the shorter side would be too short are left out. The last size has two stages where
    ``settings.optimizer`` leaves it open and the features were distilled: Adam goes on from what L-BFGS has made.
    """
    shortest = settings.size * min(height, width) / max(height, width)
    sizes = [settings.size]
    while settings.coarsest:
        shrunk = 2 ** (-len(sizes) / 2)
        if settings.size * shrunk < settings.coarsest or shortest * shrunk < SMALLEST_SIDE:
            break
        sizes.insert(0, round(settings.size * shrunk))
    smaller = settings.smaller_iterations or settings.iterations
    auto = settings.optimizer == "auto"
    found, done = list[Stage](), 0
    for size in sizes:
        count = smaller if size < settings.size else settings.iterations
        if size == sizes[0] < settings.size:
            count = settings.first_iterations or smaller
        found.append(Stage(size, done + 1, done + count, "lbfgs" if auto else settings.optimizer))
        done += count
    if auto and features.distilled and settings.iterations > 1:
        whole = found.pop()
        adams = whole.first + ceil(LBFGS_SHARE * settings.iterations)
        found += [replace(whole, last=adams - 1), Stage(whole.size, adams, whole.last, "adam")]
    return found


def memory(features: FeatureNetwork, settings: IterativeSettings, height: int, width: int) -> tuple[int, int]:
    """What a render of a photo of this shape takes at its peak: pixels, and bytes for each of them.

    The pixels are the photo's at the working size, or the style picture's where it is larger. The bytes are what is
    enough: on a CPU, renders at 512 and 768 pixels took 0.55 to 0.67 of them, with what the C library keeps of freed
    memory.
    """
    pixels = settings.size**2 * min(height, width) / max(height, width) * max(1.0, settings.style_scale**2)
    history = 2 * min(LBFGS_HISTORY, settings.iterations) if settings.optimizer in ("auto", "lbfgs") else 2
    pictures = 10 + history  # float32 RGB, 12 bytes a pixel each
    network = features.condensed()[0].bytes_per_pixel(settings.objective.layers)
    return round(pixels), round(1.25 * (network + 12 * pictures))


def low_precision(settings: IterativeSettings, device: torch.device) -> bool:
    """Whether ``settings`` name bfloat16, or mean it by ``auto``."""
    return settings.precision == "bfloat16" or (settings.precision == "auto" and computes_in_bfloat16(device))


def render(
    photo: Tensor,
    style: Tensor,
    features: FeatureNetwork,
    settings: IterativeSettings,
    progress: Callable[[IterativeProgress], bool],
    initial: Tensor | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 100,
) -> IterativeProgress:
    """Paint ``photo`` in the style of ``style`` (both [1, 3, h, w], RGB, sRGB-encoded 0..1).

    ``initial``, a picture like these, is started from in place of what ``settings.start`` says, such as an earlier
    result; it is scaled to the first size.

    Returns the last progress, whose ``image`` is the result. Stops after the iteration for which ``progress`` returns
    False, and, with a ``note``, where the loss is no longer a number: then the result is the last picture whose loss
    was one. Raises StyleError for an unknown layer, a photo too narrow, or a loss that never was a number.

    The file ``checkpoint``, if named, is written after every ``checkpoint_every`` iterations and where ``progress``
    stops the render. If it is there already, the render goes on from it: on a CPU the result is the same to the bit as
    without the break. Raises StyleError if it is of another render. Once the result is safe, remove it.
    """
    origin = origin_of(photo, style, initial, features, settings) if checkpoint else {}
    plan = stages(features, settings, *photo.shape[-2:])
    total = plan[-1].last
    # The learning rate is no matter of L-BFGS: its schedule begins behind it.
    scheduled = next((stage.first - 1 for stage in plan if stage.optimizer != "lbfgs"), 0)
    judge = _Judge(photo, style, features, settings, plan[0])
    start = first_picture(judge.photo, style, settings) if initial is None else initial
    good = done = IterativeProgress(0, total, {}, resized(start, *judge.photo.shape[-2:]))
    optimizer: torch.optim.Optimizer | None = None
    saved = load_checkpoint(checkpoint, origin) if checkpoint and checkpoint.exists() else None
    for stage in plan:
        if saved is not None and saved.iteration > stage.last:
            continue
        if stage is not plan[0]:
            judge = _Judge(photo, style, features, settings, stage)
        # Contiguous, which a picture turned from [H, W, 3] is not.
        image = resized(done.image, *judge.photo.shape[-2:]).clone(memory_format=torch.contiguous_format)
        image.requires_grad_(True)
        optimizer = _optimizer(stage.optimizer, image, settings, optimizer)
        average = _Average(settings.average)
        if saved is not None:
            image.data.copy_(saved.variable)
            optimizer.load_state_dict(saved.optimizer)
            average.sum, average.count = saved.average, saved.averaged
            good = done = IterativeProgress(saved.iteration, total, saved.losses, saved.picture.to(image.device))
            saved = None
        for iteration in range(max(stage.first, done.iteration + 1), stage.last + 1):
            if stage.optimizer != "lbfgs":
                optimizer.param_groups[0]["lr"] = settings.learning_rate_at(
                    iteration - 1 - scheduled, total - scheduled
                )
            losses = _step(optimizer, image, judge, iteration)
            if not isfinite(losses["total"]):
                return _without_loss(good, iteration)
            good = done
            with torch.no_grad():
                if stage.optimizer != "lbfgs":
                    # L-BFGS is left alone: moving its point would spoil the curvature that it has measured.
                    image.clamp_(0, 1)
                done = IterativeProgress(iteration, total, losses, average.with_(image).clamp(0, 1))
            go_on = progress(done)
            if checkpoint and iteration < total and (iteration % checkpoint_every == 0 or not go_on):
                state = losses, done.image, image.detach(), average.sum, average.count, optimizer.state_dict()
                save_checkpoint(IterativeCheckpoint(origin, iteration, *state), checkpoint)
            if not go_on:
                return done
    return done


class _Judge:
    """The objective of one stage; ``photo`` is the photo at its size."""

    def __init__(
        self, photo: Tensor, style: Tensor, features: FeatureNetwork, settings: IterativeSettings, stage: Stage
    ) -> None:
        self.photo = resized_to_long_side(photo, stage.size)
        h, w = self.photo.shape[-2:]
        if min(h, w) < SMALLEST_SIDE:
            raise StyleError(
                _(
                    "At a size of {size} the photo is {w}x{h} pixels, and its shorter side needs {least}; "
                    "give a larger size or a less narrow photo."
                ).format(size=stage.size, w=w, h=h, least=SMALLEST_SIDE)
            )
        self.shift, self.seed = 0 if stage.optimizer == "lbfgs" else settings.shift, settings.seed
        self.low_precision = low_precision(settings, photo.device)
        style = resized_to_area(style, settings.style_scale * (h * w) ** 0.5)
        with self._precision():
            self.objective = Objective(features, settings.objective, [style])
            self.mirrored = Objective(features, settings.objective, [style.flip(3)]) if self.shift else self.objective
            self.targets = {} if self.shift else self.objective.content_targets(self.photo)

    def __call__(self, image: Tensor, iteration: int) -> dict[str, Tensor]:
        """The losses of ``image`` in this iteration."""
        with self._precision():
            if not self.shift:
                return self.objective(image, self.targets)
            view = random_view(self.shift, self.seed, iteration)
            objective = self.mirrored if view.mirrored else self.objective
            return objective(view.of(image), objective.content_targets(view.of(self.photo)))

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.photo.device.type, torch.bfloat16, enabled=self.low_precision)


class _Average:
    """The exponential moving average of pictures, corrected for its beginning with nothing (as in Adam's moments)."""

    def __init__(self, decay: float) -> None:
        self.decay, self.count, self.sum = decay, 0, torch.zeros(())

    def with_(self, image: Tensor) -> Tensor:
        """The average with one more picture; that picture itself if the decay is 0."""
        if not self.decay:
            return image
        self.count += 1
        self.sum = torch.lerp(image, self.sum.to(image), self.decay)
        return self.sum / (1 - self.decay**self.count)


def first_picture(photo: Tensor, style: Tensor, settings: IterativeSettings) -> Tensor:
    """What ``settings.start`` says, in the size of ``photo``, which is at the first size; all [1, 3, h, w] in 0..1."""
    if settings.start == "noise":  # from the CPU's generator: the same on every device
        values = torch.rand(photo.shape, generator=torch.Generator().manual_seed(settings.seed)).to(photo)
        return 0.5 + settings.noise * (values - 0.5)
    return resized(style, *photo.shape[-2:]) if settings.start == "style" else photo


def _optimizer(
    kind: str, image: Tensor, settings: IterativeSettings, before: torch.optim.Optimizer | None
) -> torch.optim.Optimizer:
    """A new optimiser of ``image``. Adam goes on with the moments of ``before``, if Adam painted the smaller size."""
    if kind == "sgd":
        return torch.optim.SGD([image])
    if kind == "lbfgs":
        return LBFGS(image, LBFGS_HISTORY, settings.precondition)
    adam = torch.optim.Adam([image], settings.learning_rate, betas=ADAM_BETAS)
    if isinstance(before, torch.optim.Adam):
        state = before.state_dict()["state"][0]
        first, second = state["exp_avg"], state["exp_avg_sq"]
        shape = tuple(image.shape[-2:])
        smaller = first.numel() / image.numel()  # and so are the gradients
        first = smaller * F.interpolate(first, shape, mode="bicubic")
        second = smaller**2 * F.interpolate(second, shape, mode="bilinear")  # never negative
        state = {"step": state["step"], "exp_avg": first, "exp_avg_sq": second}
        adam.load_state_dict({"state": {0: state}, "param_groups": adam.state_dict()["param_groups"]})
    return adam


def _step(optimizer: torch.optim.Optimizer, image: Tensor, judge: _Judge, iteration: int) -> dict[str, float]:
    """One iteration; returns the losses before it."""
    losses: dict[str, Tensor] = {}

    def closure() -> float:
        optimizer.zero_grad()
        losses.update(judge(image, iteration - 1))
        losses["total"].backward()
        if isinstance(optimizer, torch.optim.SGD) and image.grad is not None:
            # The gradient falls by a thousand times in a few steps, and with it would every step.
            image.grad /= image.grad.square().mean().sqrt() + SMALLEST_GRADIENT
        return losses["total"].item()

    optimizer.step(closure)
    return {name: loss.item() for name, loss in losses.items()}


def _without_loss(good: IterativeProgress, iteration: int) -> IterativeProgress:
    """``good``, with a note of why it is the last. Raises StyleError if it is the first picture of all."""
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
    return replace(good, note=text.format(iteration=iteration, good=good.iteration))
