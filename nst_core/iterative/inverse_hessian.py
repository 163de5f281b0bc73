"""A guess of the inverse Hessian for pictures: diagonal by colour, octave of frequencies and place.

L-BFGS usually guesses a multiple of the identity for what its last steps have not shown. Two facts give a better guess:

- A feature network hardly sees a broad change of the picture and has a small gradient there, so plain steps change
mostly fine patterns. Natural pictures are the opposite: their amplitudes fall as 1/frequency (Olah et al. 2017,
"Feature Visualization", precondition in this way). So amplitudes are divided by ``frequency ** (-slope / 2)``.
- The curvature differs between sky and leaves, between fine and broad patterns, between brightness and colour. By the
  secant equation, an entry of a diagonal inverse Hessian is the size of moves relative to the changes of the gradient
  that they cause. Both sizes are root mean squares in the neighbourhood of each pixel, over several steps; each step is
  divided by its curvature, so short and long steps count the same.
"""

from __future__ import annotations

from math import log
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_core.iterative.frequency_bands import FrequencyBand, frequency_bands, join_bands, split_gradient, split_move

# The share of the sums over earlier steps that a step keeps, and the side of a place in pixels of its band.
KEPT, PLACE = 0.4, 4
# Each of the first steps is measured; after them every second one, at half the cost.
FIRST_STEPS = 6
LARGEST_FACTOR = 30.0  # between the step length of a place and the mean
TINY = 1e-30


class InverseHessianGuess:
    """The guess for one picture, [1, 3, H, W].

    What it learns is kept in the optimiser's state: ``moved`` and ``changed``, the mean squares of moves and of changes
    of the gradient by band and place; ``reach``, the relative step length, [1, 3, h, w] by band; ``scale``; ``steps``.
    """

    def __init__(self, picture: Tensor, slope: float) -> None:
        self._bands = frequency_bands(picture, slope)

    def learn(self, state: dict[str, Any], move: Tensor, change: Tensor, curvature: float) -> None:
        """Update ``state`` with a move, the change of the gradient that it caused, and the product of the two."""
        state["steps"] = state.get("steps", 0) + 1
        if state["steps"] > FIRST_STEPS and state["steps"] % 2:
            return
        changed = split_gradient(change, self._bands)
        for name, parts in (("moved", split_move(move, self._bands)), ("changed", changed)):
            energies = [_by_place(part.square()).div_(curvature) for part in parts]
            earlier = state.get(name, [torch.zeros_like(energy) for energy in energies])
            state[name] = [new.add_(old, alpha=KEPT) for new, old in zip(energies, earlier, strict=True)]
        state["reach"] = step_lengths(state["moved"], state["changed"], self._bands)
        products = [dot(length, part.square()) for length, part in zip(state["reach"], changed, strict=True)]
        state["scale"] = curvature / sum(products)

    def times(self, gradient: Tensor, state: dict[str, Any]) -> Tensor:
        """Return the guess times ``gradient``, [1, 3, H, W], without the scale."""
        parts = split_gradient(gradient, self._bands)
        if "reach" in state:
            parts = [part * length for part, length in zip(parts, state["reach"], strict=True)]
        return join_bands(parts, self._bands)


def step_lengths(moved: list[Tensor], changed: list[Tensor], bands: list[FrequencyBand]) -> list[Tensor]:
    """Return how far each place moves for the same gradient, relative to the others: [1, 3, h, w] by band.

    ``moved`` and ``changed`` are the energies of moves and of changes of the gradient by place.
    """
    logs = [0.5 * ((one + TINY).log() - (other + TINY).log()) for one, other in zip(moved, changed, strict=True)]
    mean = torch.stack([values.mean() for values in logs]).mean()
    limited = [(values - mean).clamp_(-log(LARGEST_FACTOR), log(LARGEST_FACTOR)) for values in logs]
    return [F.interpolate(n, band.grid, mode="bilinear").exp_() for n, band in zip(limited, bands, strict=True)]


def _by_place(energy: Tensor) -> Tensor:
    """Return the means of [1, 3, h, w] over places; one at the border may be smaller."""
    return F.avg_pool2d(energy, PLACE, ceil_mode=True, count_include_pad=False)


def dot(one: Tensor, other: Tensor) -> float:
    """Return the sum of the products of the elements of two tensors of the same shape."""
    return torch.dot(one.flatten(), other.flatten()).item()
