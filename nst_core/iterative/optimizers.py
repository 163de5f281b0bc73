"""The optimisers of an iterative render, and one step of any of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_core.base.iterative_settings import IterativeSettings
from nst_core.iterative.lbfgs import LBFGS

LBFGS_HISTORY = 20
# Adam averages the gradient over more steps than by default, since it differs from view to view; its square over fewer.
ADAM_BETAS = (0.95, 0.99)
SMALLEST_GRADIENT = 1e-30


def new_optimizer(
    kind: str, image: Tensor, settings: IterativeSettings, previous: torch.optim.Optimizer | None
) -> torch.optim.Optimizer:
    """Return a new optimiser of ``image``, [1, 3, H, W]; ``kind`` is ``lbfgs``, ``adam`` or ``sgd``.

    Adam takes over the moments of ``previous`` if that was Adam at a smaller size.
    """
    if kind == "sgd":
        return torch.optim.SGD([image])
    if kind == "lbfgs":
        return LBFGS(image, LBFGS_HISTORY, settings.precondition)
    adam = torch.optim.Adam([image], settings.learning_rate, betas=ADAM_BETAS)
    if isinstance(previous, torch.optim.Adam):
        state = previous.state_dict()["state"][0]
        first, second = state["exp_avg"], state["exp_avg_sq"]
        shape = tuple(image.shape[-2:])
        scale = first.numel() / image.numel()  # of the gradients: each pixel of a larger picture counts less
        first = scale * F.interpolate(first, shape, mode="bicubic")
        second = scale**2 * F.interpolate(second, shape, mode="bilinear")  # never negative
        state = {"step": state["step"], "exp_avg": first, "exp_avg_sq": second}
        adam.load_state_dict({"state": {0: state}, "param_groups": adam.state_dict()["param_groups"]})
    return adam


def take_step(
    optimizer: torch.optim.Optimizer, image: Tensor, objective: Callable[[Tensor], dict[str, Tensor]]
) -> dict[str, float]:
    """Move ``image`` by one step and return its losses before the step; ``total`` among them is minimised."""
    losses: dict[str, Tensor] = {}

    def closure() -> float:
        optimizer.zero_grad()
        losses.update(objective(image))
        losses["total"].backward()
        if isinstance(optimizer, torch.optim.SGD) and image.grad is not None:
            # The gradient shrinks a thousandfold within a few steps, and every step would shrink with it.
            image.grad /= image.grad.square().mean().sqrt() + SMALLEST_GRADIENT
        return losses["total"].item()

    optimizer.step(closure)
    return {name: loss.item() for name, loss in losses.items()}
