"""L-BFGS for pictures: the optimiser of Gatys et al. 2015, with a first guess that knows what pictures are like."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_CURVATURE = 1e-10  # along a step; below it is rounding
LOWEST_FREQUENCY = 1 / 64  # in periods a pixel; below it are changes wider than any feature
# How much a step leaves of what those before have shown of each place, and the pixels of a place, each way.
KEPT, PLACE = 0.6, 3
FARTHEST = 10.0  # that a place is taken to be from the picture's mean curvature, as a factor
NOTHING = 1e-30


class LBFGS(torch.optim.Optimizer):
    """Limited-memory BFGS (Nocedal 1980; Nocedal and Wright 2006, algorithm 7.4) of one picture, [1, C, H, W].

    A call of ``step`` evaluates the objective once and moves the picture by a whole step, without a line search: with a
    ``slope`` of 0 this is torch.optim.LBFGS with ``max_iter=1``.

    What the ``history`` last steps have not shown of the inverse Hessian is guessed, by custom as a multiple of the
    identity. With a slope it is guessed of the picture in other coordinates, in which amplitudes are divided by
    ``frequency ** (-slope / 2)``, and place by place:

    - A feature network hardly sees a broad change of the picture and has a small gradient there, so that plain steps go
      astray in fine patterns first; natural pictures are made the other way round, their amplitudes fall as 1/frequency
      (Olah et al. 2017, "Feature Visualization", precondition in this way).
    - Sky is curved otherwise than leaves are. By the secant equation a diagonal of the inverse Hessian is as large as
      moves are beside the changes of the gradient that they make; their root mean squares are compared in the
      neighbourhood of each pixel, over some steps: divided by the curvature along it, a short one counts like a long.
    """

    def __init__(self, picture: Tensor, history: int, slope: float = 0.0) -> None:
        super().__init__([picture], {"history": history, "slope": slope})
        self._amplitudes = _amplitudes(picture, slope) if slope else None

    @torch.no_grad()
    def step(self, closure: Callable[[], float]) -> float:  # type: ignore[override]
        """Move the picture; ``closure`` computes its loss and gradient. Returns that loss."""
        picture = self.param_groups[0]["params"][0]
        with torch.enable_grad():
            loss = closure()
        gradient = self._turned(picture.grad)
        state = self.state[picture]
        if state:
            self._learn(state, gradient - state["gradient"])
        else:
            # A cautious first step, as PyTorch's own.
            scale = min(1.0, 1.0 / picture.grad.abs().sum().item())
            state.update(moves=[], changes=[], curvatures=[], scale=scale)
        state["move"] = self._direction(gradient, state)
        state["gradient"] = gradient
        picture.add_(self._turned(state["move"]))
        return loss

    def _learn(self, state: dict[str, Any], change: Tensor) -> None:
        """Keep what the last move showed, by the ``change`` of the gradient; nothing, if that is against the move."""
        move = state["move"]
        curvature = _dot(move, change)
        if curvature <= LEAST_CURVATURE:
            return
        for name, newest in (("moves", move), ("changes", change), ("curvatures", curvature)):
            state[name] = [*state[name], newest][-self.param_groups[0]["history"] :]
        if self._amplitudes is not None:
            for name, newest in (("moved", move), ("changed", change)):
                energy = newest.square().mean(1, keepdim=True).div_(curvature)
                state[name] = energy.add_(state[name], alpha=KEPT) if name in state else energy
            state["reach"] = _reach(state["moved"], state["changed"])
        state["scale"] = curvature / _dot(change, _guess(change, state))

    def _direction(self, gradient: Tensor, state: dict[str, Any]) -> Tensor:
        """The negative gradient times the inverse Hessian: the two-loop recursion, from the newest step and back."""
        pairs = list(zip(state["moves"], state["changes"], state["curvatures"], strict=True))
        found, shares = -gradient, list[float]()
        for move, change, curvature in reversed(pairs):
            shares.append(_dot(move, found) / curvature)
            found.sub_(change, alpha=shares[-1])
        found = _guess(found, state) * state["scale"]
        for move, change, curvature in pairs:
            found.add_(move, alpha=shares.pop() - _dot(change, found) / curvature)
        return found

    def _turned(self, values: Tensor) -> Tensor:
        """Pixels' gradient in the other coordinates, or a move in these as one of pixels: the same, by symmetry."""
        if self._amplitudes is None:
            return values.clone()
        return torch.fft.irfft2(torch.fft.rfft2(values) * self._amplitudes, s=values.shape[-2:])


def _guess(gradient: Tensor, state: dict[str, Any]) -> Tensor:
    """The gradient times the inverse Hessian but for its scale, as far as the places are known."""
    return gradient * state["reach"] if "reach" in state else gradient


def _reach(moved: Tensor, changed: Tensor) -> Tensor:
    """How far each place moves beside the others for the same gradient, by the energies of both: [1, 1, H, W]."""
    around = (F.avg_pool2d(one, PLACE, 1, PLACE // 2, count_include_pad=False) + NOTHING for one in (moved, changed))
    logarithm = 0.5 * torch.sub(*(energy.log() for energy in around))
    return (logarithm - logarithm.mean()).clamp(-log(FARTHEST), log(FARTHEST)).exp()


def _amplitudes(picture: Tensor, slope: float) -> Tensor:
    """By frequency as torch.fft.rfft2 orders them, [H, W // 2 + 1]."""
    height, width = picture.shape[-2:]
    down, right = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    frequency = (down.square() + right.square()).sqrt()
    return frequency.clamp(min=LOWEST_FREQUENCY).pow(-slope / 2).to(picture)


def _dot(one: Tensor, other: Tensor) -> float:
    return torch.dot(one.flatten(), other.flatten()).item()
