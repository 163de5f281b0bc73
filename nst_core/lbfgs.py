"""L-BFGS for pictures: the optimiser of Gatys et al. 2015, with a first guess that knows what pictures are like."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

LEAST_CURVATURE = 1e-10  # along a step; below it is rounding
LOWEST_FREQUENCY = 1 / 64  # in periods a pixel; below it are changes wider than any feature


class LBFGS(torch.optim.Optimizer):
    """Limited-memory BFGS (Nocedal 1980; Nocedal and Wright 2006, algorithm 7.4) of one picture, [1, C, H, W].

    A call of ``step`` evaluates the objective once and moves the picture by a whole step, without a line search: apart
    from ``slope`` this is torch.optim.LBFGS with ``max_iter=1``.

    What the ``history`` last steps have not shown of the inverse Hessian is guessed: a multiple of the identity is the
    custom, which is a ``slope`` of 0. Here it is that multiple of ``frequency ** -slope``. A feature network hardly
    sees a broad change of the picture and has a small gradient there, so that plain steps go astray in fine patterns
    first; natural pictures are made the other way round, their amplitudes fall as 1/frequency (Olah et al. 2017,
    "Feature Visualization", precondition in this way).
    """

    def __init__(self, picture: Tensor, history: int, slope: float = 0.0) -> None:
        super().__init__([picture], {"history": history, "slope": slope})
        self._weights = _weights(picture, slope) if slope else None

    @torch.no_grad()
    def step(self, closure: Callable[[], float]) -> float:  # type: ignore[override]
        """Move the picture; ``closure`` computes its loss and gradient. Returns that loss."""
        group = self.param_groups[0]
        picture = group["params"][0]
        with torch.enable_grad():
            loss = closure()
        gradient = picture.grad.clone()
        state = self.state[picture]
        if state:
            move, change = state["move"], gradient - state["gradient"]
            curvature = _dot(move, change)
            if curvature > LEAST_CURVATURE:
                for name, newest in (("moves", move), ("changes", change), ("curvatures", curvature)):
                    state[name] = [*state[name], newest][-group["history"] :]
                state["scale"] = curvature / _dot(change, self._guess(change))
        else:
            # A cautious first step, as PyTorch's own.
            scale = min(1.0, 1.0 / gradient.abs().sum().item())
            state.update(moves=[], changes=[], curvatures=[], scale=scale)
        pairs = list(zip(state["moves"], state["changes"], state["curvatures"], strict=True))
        state["move"] = self._direction(gradient, pairs, state["scale"])
        state["gradient"] = gradient
        picture.add_(state["move"])
        return loss

    def _direction(self, gradient: Tensor, pairs: list[tuple[Tensor, Tensor, float]], scale: float) -> Tensor:
        """The negative gradient times the inverse Hessian: the two-loop recursion, from the newest step and back."""
        found, shares = -gradient, list[float]()
        for move, change, curvature in reversed(pairs):
            shares.append(_dot(move, found) / curvature)
            found.sub_(change, alpha=shares[-1])
        found = self._guess(found) * scale
        for move, change, curvature in pairs:
            found.add_(move, alpha=shares.pop() - _dot(change, found) / curvature)
        return found

    def _guess(self, gradient: Tensor) -> Tensor:
        if self._weights is None:
            return gradient
        return torch.fft.irfft2(torch.fft.rfft2(gradient) * self._weights, s=gradient.shape[-2:])


def _weights(picture: Tensor, slope: float) -> Tensor:
    """By frequency as torch.fft.rfft2 orders them, [H, W // 2 + 1]."""
    height, width = picture.shape[-2:]
    down, right = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    frequency = (down.square() + right.square()).sqrt()
    return frequency.clamp(min=LOWEST_FREQUENCY).pow(-slope).to(picture)


def _dot(one: Tensor, other: Tensor) -> float:
    return torch.dot(one.flatten(), other.flatten()).item()
