"""The iterative render: the photo itself is optimised until its features are the photo's and its Gram matrices
the painting's (Gatys et al. 2015, arXiv 1508.06576)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nst_core.errors import StyleError
from nst_core.features import FeatureNetwork
from nst_core.objective import SMALLEST_SIDE, Objective
from nst_core.pictures import resized, resized_to_area, resized_to_long_side
from nst_core.settings import OPTIMIZERS, RenderSettings
from nst_core.views import random_view

LBFGS_HISTORY = 20
SMALLEST_GRADIENT = 1e-30


@dataclass(frozen=True)
class RenderProgress:
    """Reported after every iteration: the weighted losses before it, and the picture after it ([1, 3, H, W], 0..1)."""

    iteration: int
    iterations: int
    losses: dict[str, float]
    image: Tensor


def memory(features: FeatureNetwork, settings: RenderSettings, height: int, width: int) -> tuple[int, int]:
    """What a render of a photo of this shape takes at its peak: pixels, and bytes for each of them.

    The pixels are the photo's at the working size, or the style picture's where it is larger. Measured, the bytes were
    within a seventh.
    """
    pixels = settings.size**2 * min(height, width) / max(height, width) * max(1.0, settings.style_scale**2)
    history = 2 * LBFGS_HISTORY if optimizer_for(features, settings) == "lbfgs" else 2
    pictures = 10 + history  # float32 RGB, 12 bytes a pixel each
    return round(pixels), round(1.15 * (features.bytes_per_pixel(settings.objective.layers) + 12 * pictures))


def optimizer_for(features: FeatureNetwork, settings: RenderSettings) -> str:
    """Which of OPTIMIZERS ``settings`` name or mean by ``auto``. Raises StyleError for another one."""
    if settings.optimizer not in OPTIMIZERS:
        raise StyleError(f"There is no optimiser {settings.optimizer!r}; choose from {', '.join(OPTIMIZERS)}.")
    return ("adam" if features.distilled else "lbfgs") if settings.optimizer == "auto" else settings.optimizer


def render(
    photo: Tensor,
    style: Tensor,
    features: FeatureNetwork,
    settings: RenderSettings,
    progress: Callable[[RenderProgress], bool],
    initial: Tensor | None = None,
) -> RenderProgress:
    """Paint ``photo`` in the style of ``style`` (both [1, 3, h, w], RGB, sRGB-encoded 0..1), starting from the photo.

    ``initial``, a picture like these, is started from in its place, such as noise or an earlier result; it is scaled
    to the size of the result.

    Returns the last progress, whose ``image`` is the result. Stops after the iteration for which ``progress`` returns
    False. Raises StyleError for an unknown optimiser or layer, or a photo too narrow.
    """
    kind = optimizer_for(features, settings)
    first_order = kind != "lbfgs"
    shift = settings.shift if first_order else 0
    photo = resized_to_long_side(photo, settings.size)
    h, w = photo.shape[-2:]
    if min(h, w) < SMALLEST_SIDE:
        raise StyleError(
            f"At a size of {settings.size} the photo is {w}x{h} pixels, and its shorter side needs {SMALLEST_SIDE}; "
            "give a larger size or a less narrow photo."
        )
    style = resized_to_area(style, settings.style_scale * (h * w) ** 0.5)
    objective = Objective(features, settings.objective, [style])
    mirrored = Objective(features, settings.objective, [style.flip(3)]) if shift else objective
    targets = objective.content_targets(photo)
    start = photo if initial is None else resized(initial, h, w)
    # L-BFGS wants its variables contiguous, which a picture turned from [H, W, 3] is not.
    image = start.clone(memory_format=torch.contiguous_format).requires_grad_(True)
    # The relative losses have gradients of about 1e-6 per pixel, far below the default tolerances. With one inner
    # iteration a call of step() is one evaluation, and the history lives on from call to call.
    optimizer: torch.optim.Optimizer
    if kind == "adam":
        optimizer = torch.optim.Adam([image], settings.learning_rate, betas=(0.9, 0.99))
    elif kind == "sgd":
        optimizer = torch.optim.SGD([image], settings.learning_rate)
    else:
        optimizer = torch.optim.LBFGS(
            [image], lr=1.0, max_iter=1, history_size=LBFGS_HISTORY, tolerance_grad=0.0, tolerance_change=0.0
        )
    losses: dict[str, Tensor] = {}

    def judged(iteration: int) -> dict[str, Tensor]:
        if not shift:
            return objective(image, targets)
        view = random_view(shift, settings.seed, iteration)
        judge = mirrored if view.mirrored else objective
        return judge(view.of(image), judge.content_targets(view.of(photo)))

    def closure() -> float:
        optimizer.zero_grad()
        losses.update(judged(done.iteration))
        losses["total"].backward()
        if kind == "sgd" and image.grad is not None:
            # The gradient falls by a thousand times in a few steps, and with it would every step.
            image.grad /= image.grad.square().mean().sqrt() + SMALLEST_GRADIENT
        return losses["total"].item()

    done = RenderProgress(0, settings.iterations, {}, start)
    for iteration in range(1, settings.iterations + 1):
        if first_order:
            optimizer.param_groups[0]["lr"] = settings.learning_rate_at(iteration - 1)
        optimizer.step(closure)
        if first_order:
            # L-BFGS is left alone: moving its point would spoil the curvature that it has measured.
            with torch.no_grad():
                image.clamp_(0, 1)
        values = {name: loss.item() for name, loss in losses.items()}
        done = RenderProgress(iteration, settings.iterations, values, image.detach().clamp(0, 1))
        if not progress(done):
            break
    return done
