"""Looking at a picture anew in every step, so that no optimiser can please one view of it only.

A feature network is most wrong where an optimiser leads it: in patterns that fit its pooling grid, and that mean
nothing when they are moved by a pixel. Moving the picture at random between steps is the cure that Mordvintsev et al.
(2015) found for Deep Dream and Olah et al. (2017, "Feature Visualization") called transformation robustness.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, log, radians, sin

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Views are larger than their picture by multiples of this: for each size that it has not seen lately, a processor's
# library writes new code for every convolution.
STEP = 8


@dataclass(frozen=True)
class View:
    """A picture moved right and down by whole pixels and then, if ``mirrored``, turned left to right."""

    right: int = 0
    down: int = 0
    mirrored: bool = False

    def of(self, pictures: Tensor) -> Tensor:
        """The view of [N, C, H, W]: all of it, larger by ``down`` and ``right`` rounded up to multiples of ``STEP``.

        What comes into view is the picture's reflection.
        """
        borders = [border for moved in (self.right, self.down) for border in (moved, -moved % STEP)]
        seen = F.pad(pictures, borders, "reflect") if any(borders) else pictures
        return seen.flip(3) if self.mirrored else seen


def random_view(shift: int, seed: int, step: int) -> View:
    """The view for a step: moved by 0 to ``shift`` pixels each way and mirrored or not; as it is if ``shift`` is 0."""
    if shift == 0:
        return View()
    right, down, mirrored = np.random.default_rng([seed, step]).integers(0, (shift + 1, shift + 1, 2))
    return View(int(right), int(down), bool(mirrored))


@dataclass(frozen=True)
class Tilt:
    """A picture turned about its middle by ``angle`` degrees, ``zoom`` times as large, then moved by pixels."""

    angle: float = 0.0
    zoom: float = 1.0
    right: float = 0.0
    down: float = 0.0

    def of(self, pictures: Tensor) -> Tensor:
        """The tilted [N, C, H, W], of the same size and float32. What comes into view is the picture's reflection."""
        height, width = pictures.shape[-2:]
        x, y = cos(radians(self.angle)) / self.zoom, sin(radians(self.angle)) / self.zoom
        # Where each pixel comes from, in units of half the width and half the height, as grid_sample wants it. Not by
        # affine_grid: its matrix would have to be copied to a GPU, which has to finish all other work first.
        across, down = (_middles(extent, pictures.device) for extent in (width, height))
        across, down = across - 2 * self.right / width, (down - 2 * self.down / height)[:, None]
        sources = x * across + y * height / width * down, x * down - y * width / height * across
        grid = torch.stack(sources, 2).expand(len(pictures), -1, -1, -1)
        # Bilinear interpolation would blur, and what is learned would be sharpened to make up for that.
        return F.grid_sample(pictures.float(), grid, "bicubic", "reflection", align_corners=False)


def _middles(extent: int, device: torch.device) -> Tensor:
    """Where the middles of so many pixels lie between -1 and 1."""
    return (2 * torch.arange(extent, dtype=torch.float32, device=device) + 1) / extent - 1


def random_tilt(angle: float, zoom: float, seed: int, step: int) -> Tilt:
    """The tilt for a step: by up to ``angle`` degrees, 1/``zoom`` to ``zoom`` times as large, moved by up to 2 pixels.

    So it lies anywhere in the four pixels of the grid on which a network with two doublings draws.
    """
    rng = np.random.default_rng([seed, step, 1])
    turned, scaled = rng.uniform(-angle, angle), np.exp(rng.uniform(-log(zoom), log(zoom)))
    right, down = rng.uniform(-2, 2, 2)
    return Tilt(float(turned), float(scaled), float(right), float(down))
