"""L-BFGS for pictures: the optimiser of Gatys et al. 2015, with a guess of the inverse Hessian made for pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nst_core.iterative.inverse_hessian import InverseHessianGuess, dot

LEAST_CURVATURE = 1e-10  # along a step; anything smaller is rounding error

Pair = tuple[Tensor, Tensor, float]
"""A step: the move, the change of the gradient that it caused, and the curvature, the dot product of the two."""


def inverse_hessian_times(vector: Tensor, pairs: Sequence[Pair], guess: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the inverse Hessian times ``vector``, which may be overwritten.

    This is the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4). ``pairs`` are the last steps, the oldest
    first; ``guess`` multiplies a vector with the inverse Hessian as it would be without them.
    """
    shares = []
    for move, change, curvature in reversed(pairs):
        share = dot(move, vector) / curvature
        vector.sub_(change, alpha=share)
        shares.append(share)
    vector = guess(vector)
    for (move, change, curvature), share in zip(pairs, reversed(shares), strict=True):
        vector.add_(move, alpha=share - dot(change, vector) / curvature)
    return vector


class LBFGS(torch.optim.Optimizer):
    """Limited-memory BFGS (Nocedal 1980) of one picture, [1, C, H, W].

    A call of ``step`` evaluates the objective once and moves the picture by a whole step, without a line search. With a
    ``slope`` of 0 this is torch.optim.LBFGS with ``max_iter=1``: the inverse Hessian is guessed as a multiple of the
    identity for what the ``history`` last steps have not shown. With a slope, an RGB picture has a guess by colour,
    frequency and place (see inverse_hessian.py).
    """

    def __init__(self, picture: Tensor, history: int, slope: float = 0.0) -> None:
        super().__init__([picture], {"history": history, "slope": slope})
        self._guess = InverseHessianGuess(picture, slope) if slope else None

    @torch.no_grad()
    def step(self, closure: Callable[[], float]) -> float:  # type: ignore[override]
        """Move the picture; ``closure`` computes its loss and gradient. Return that loss."""
        picture = self.param_groups[0]["params"][0]
        with torch.enable_grad():
            loss = closure()
        gradient = picture.grad.clone()
        state = self.state[picture]
        if state:
            self._learn(state, gradient - state["gradient"])
        else:
            # A cautious first step, like PyTorch's own.
            scale = 1.0 / max(1.0, gradient.abs().sum().item())
            state.update(moves=[], changes=[], curvatures=[], scale=scale)
        state["move"] = self._direction(gradient, state)
        state["gradient"] = gradient
        picture.add_(state["move"])
        return loss

    def _learn(self, state: dict[str, Any], change: Tensor) -> None:
        """Keep the last move and the ``change`` of the gradient, unless the two point in opposite directions."""
        move = state["move"]
        curvature = dot(move, change)
        if curvature <= LEAST_CURVATURE:
            return
        for name, newest in (("moves", move), ("changes", change), ("curvatures", curvature)):
            state[name] = [*state[name], newest][-self.param_groups[0]["history"] :]
        if self._guess is None:
            state["scale"] = curvature / dot(change, change)
        else:
            self._guess.learn(state, move, change, curvature)

    def _direction(self, gradient: Tensor, state: dict[str, Any]) -> Tensor:
        """Return the inverse Hessian times the negative gradient."""

        def guess(vector: Tensor) -> Tensor:
            if self._guess is not None:
                vector = self._guess.times(vector, state)
            return vector.mul_(state["scale"])

        pairs = list(zip(state["moves"], state["changes"], state["curvatures"], strict=True))
        return inverse_hessian_times(-gradient, pairs, guess)
