"""L-BFGS for pictures: the optimiser of Gatys et al. 2015, with a first guess that knows what pictures are like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, pi
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_CURVATURE = 1e-10  # along a step; below it is rounding
LOWEST_FREQUENCY = 1 / 64  # in periods a pixel; below it are changes wider than any feature
# The bands of frequencies are octaves; the first one is around this and above, in periods a pixel.
BANDS, FIRST_BAND = 3, 1 / 4
# How much a step leaves of what those before have shown of each place, and the pixels of a band in a place, each way.
KEPT, PLACE = 0.4, 4
# What each of the first steps shows is looked at; later it is what every second one does, at half of the cost.
FIRST_STEPS = 6
FARTHEST = 30.0  # that a place is taken to be from the picture's mean curvature, as a factor
NOTHING = 1e-30
# Brightness, red less blue and green less both: nearly independent in natural pictures (Ohta, Kanade and Sakai 1980,
# "Color information for region segmentation").
COLOURS = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (-1.0, 2.0, -1.0))


class LBFGS(torch.optim.Optimizer):
    """Limited-memory BFGS (Nocedal 1980; Nocedal and Wright 2006, algorithm 7.4) of one picture, [1, C, H, W].

    A call of ``step`` evaluates the objective once and moves the picture by a whole step, without a line search: with a
    ``slope`` of 0 this is torch.optim.LBFGS with ``max_iter=1``.

    What the ``history`` last steps have not shown of the inverse Hessian is guessed, by custom as a multiple of the
    identity. With a slope, of an RGB picture, it is guessed in other coordinates, and place by place:

    - A feature network hardly sees a broad change of the picture and has a small gradient there, so that plain steps go
      astray in fine patterns first; natural pictures are made the other way round, their amplitudes fall as 1/frequency
      (Olah et al. 2017, "Feature Visualization", precondition in this way). So amplitudes are divided by
      ``frequency ** (-slope / 2)``.
    - Sky is curved otherwise than leaves are, fine patterns there otherwise than broad ones, brightness otherwise than
      colour. By the secant equation a diagonal of the inverse Hessian is as large as moves are beside the changes of
      the gradient that they make; their root mean squares are compared for each of three colours, in each octave of
      frequencies, in the neighbourhood of each pixel, over some steps: divided by the curvature along it, a short one
      counts like a long.
    """

    def __init__(self, picture: Tensor, history: int, slope: float = 0.0) -> None:
        super().__init__([picture], {"history": history, "slope": slope})
        self._bands = _bands(picture, slope) if slope else []

    @torch.no_grad()
    def step(self, closure: Callable[[], float]) -> float:  # type: ignore[override]
        """Move the picture; ``closure`` computes its loss and gradient. Returns that loss."""
        picture = self.param_groups[0]["params"][0]
        with torch.enable_grad():
            loss = closure()
        gradient = picture.grad.clone()
        state = self.state[picture]
        if state:
            self._learn(state, gradient - state["gradient"])
        else:
            # A cautious first step, as PyTorch's own.
            scale = 1.0 / max(1.0, gradient.abs().sum().item())
            state.update(moves=[], changes=[], curvatures=[], scale=scale)
        state["move"] = self._direction(gradient, state)
        state["gradient"] = gradient
        picture.add_(state["move"])
        return loss

    def _learn(self, state: dict[str, Any], change: Tensor) -> None:
        """Keep what the last move showed, by the ``change`` of the gradient; nothing, if that is against the move."""
        move = state["move"]
        curvature = _dot(move, change)
        if curvature <= LEAST_CURVATURE:
            return
        for name, newest in (("moves", move), ("changes", change), ("curvatures", curvature)):
            state[name] = [*state[name], newest][-self.param_groups[0]["history"] :]
        if not self._bands:
            state["scale"] = curvature / _dot(change, change)
            return
        state["steps"] = state.get("steps", 0) + 1
        if state["steps"] > FIRST_STEPS and state["steps"] % 2:
            return
        moved = _parts(move, self._bands, [band.moves for band in self._bands])
        changed = _parts(change, self._bands, [band.gradients for band in self._bands])
        for name, parts in (("moved", moved), ("changed", changed)):
            energies = [_by_place(part.square()).div_(curvature) for part in parts]
            past = state.get(name, [torch.zeros_like(energy) for energy in energies])
            state[name] = [new.add_(old, alpha=KEPT) for new, old in zip(energies, past, strict=True)]
        state["reach"] = _reach(state["moved"], state["changed"], self._bands)
        seen = [_dot(reach, part.square()) for reach, part in zip(state["reach"], changed, strict=True)]
        state["scale"] = curvature / sum(seen)

    def _direction(self, gradient: Tensor, state: dict[str, Any]) -> Tensor:
        """The negative gradient times the inverse Hessian: the two-loop recursion, from the newest step and back."""
        pairs = list(zip(state["moves"], state["changes"], state["curvatures"], strict=True))
        found, shares = -gradient, list[float]()
        for move, change, curvature in reversed(pairs):
            shares.append(_dot(move, found) / curvature)
            found.sub_(change, alpha=shares[-1])
        if self._bands:
            found = _guess(found, self._bands, state.get("reach"))
        found.mul_(state["scale"])
        for move, change, curvature in pairs:
            found.add_(move, alpha=shares.pop() - _dot(change, found) / curvature)
        return found


@dataclass(frozen=True)
class _Band:
    """An octave of frequencies, of three colours on a grid just fine enough for it.

    ``moves`` and ``gradients`` are what those of the picture are multiplied with to be those of the band, by frequency
    as torch.fft.rfft2 orders those of the grid, [h, w // 2 + 1].
    """

    grid: tuple[int, int]
    moves: Tensor
    gradients: Tensor


def _bands(picture: Tensor, slope: float) -> list[_Band]:
    height, width = picture.shape[-2:]
    down, right = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    frequency = (down.square() + right.square()).sqrt().clamp(min=LOWEST_FREQUENCY)
    amplitudes = frequency.pow(-slope / 2)
    octave = (FIRST_BAND / frequency).log2().clamp(0, BANDS - 1)
    found = []
    for band in range(BANDS):
        # Of what is an octave away there is nothing, so that the grid holds all that is nearer. The squares sum to 1.
        share = torch.cos((octave - band).clamp(-1, 1) * pi / 2)
        grid = (-(-height >> band), -(-width >> band))
        found.append(_Band(grid, *(_lowest(w, grid).to(picture) for w in (share / amplitudes, share * amplitudes))))
    return found


def _guess(gradient: Tensor, bands: list[_Band], reach: list[Tensor] | None) -> Tensor:
    """The gradient times the inverse Hessian but for its scale, as far as the places are known."""
    height, width = gradient.shape[-2:]
    weights = [band.gradients for band in bands]
    parts = _parts(gradient, bands, weights)
    if reach is not None:
        parts = [part * far for part, far in zip(parts, reach, strict=True)]
    # The first grid is the picture's own.
    whole, *others = (torch.fft.rfft2(p, norm="ortho").mul_(w) for p, w in zip(parts, weights, strict=True))
    for band, spectrum in zip(bands[1:], others, strict=True):
        for into, low in zip(_lowest_rows(whole, band.grid), _lowest_rows(spectrum, band.grid), strict=True):
            into.add_(low)
    return _colours(torch.fft.irfft2(whole, s=(height, width), norm="ortho"), back=True)


def _parts(pixels: Tensor, bands: list[_Band], weights: list[Tensor]) -> list[Tensor]:
    """RGB pixels in the other coordinates, by band: [1, 3, h, w] each."""
    spectrum = torch.fft.rfft2(_colours(pixels), norm="ortho")
    lows = (_lowest(spectrum, band.grid) * weight for band, weight in zip(bands, weights, strict=True))
    return [torch.fft.irfft2(low, s=band.grid, norm="ortho") for low, band in zip(lows, bands, strict=True)]


def _lowest(spectrum: Tensor, grid: tuple[int, int]) -> Tensor:
    """The frequencies that a grid, of no more pixels, can hold; the same tensor if they are all."""
    if spectrum.shape[-2:] == (grid[0], grid[1] // 2 + 1):
        return spectrum
    return torch.cat(_lowest_rows(spectrum, grid), -2)


def _lowest_rows(spectrum: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The same as two views, since upwards the frequencies below 0 come last."""
    rows, low = grid[0], spectrum[..., : grid[1] // 2 + 1]
    first = (rows + 1) // 2
    return low[..., :first, :], low[..., low.shape[-2] - (rows - first) :, :]


def _colours(pixels: Tensor, back: bool = False) -> Tensor:
    """RGB as COLOURS of unit length, which are at right angles, or back."""
    matrix = F.normalize(pixels.new_tensor(COLOURS))
    return ((matrix.T if back else matrix) @ pixels.flatten(2)).view_as(pixels)


def _by_place(energy: Tensor) -> Tensor:
    """Means of [1, 3, h, w] over places; one at the border may be cut off."""
    return F.avg_pool2d(energy, PLACE, ceil_mode=True, count_include_pad=False)


def _reach(moved: list[Tensor], changed: list[Tensor], bands: list[_Band]) -> list[Tensor]:
    """How far each place moves beside the others for the same gradient, by the energies of both: [1, 3, h, w] each."""
    far = [0.5 * ((one + NOTHING).log() - (other + NOTHING).log()) for one, other in zip(moved, changed, strict=True)]
    mean = torch.stack([values.mean() for values in far]).mean()
    near = [(values - mean).clamp_(-log(FARTHEST), log(FARTHEST)) for values in far]
    return [F.interpolate(n, band.grid, mode="bilinear").exp_() for n, band in zip(near, bands, strict=True)]


def _dot(one: Tensor, other: Tensor) -> float:
    return torch.dot(one.flatten(), other.flatten()).item()
