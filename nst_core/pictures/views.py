"""Random views of a picture: it is moved, mirrored or tilted in every step of an optimisation.

An optimiser leads a picture to patterns that a feature network misjudges: they fit its pooling grid, and mean nothing
once they are moved by a pixel. Moving the picture at random between steps prevents that (Mordvintsev et al. 2015, for
Deep Dream; Olah et al. 2017, "Feature Visualization", call it transformation robustness).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, log, radians, sin

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Views are larger than their picture by multiples of this number of pixels: the CPU's convolution library compiles new
# code for each size that it has not seen lately.
STEP = 8


@dataclass(frozen=True)
class View:
    """A picture moved right and down by whole pixels and then, if ``mirrored``, turned left to right."""

    right: int = 0
    down: int = 0
    mirrored: bool = False

    def of(self, pictures: Tensor) -> Tensor:
        """Return the view of [N, C, H, W]: the whole picture, and its reflection around it.

        The view is larger by ``down`` and ``right``, rounded up to multiples of ``STEP``.
        """
        borders = [border for moved in (self.right, self.down) for border in (moved, -moved % STEP)]
        seen = F.pad(pictures, borders, "reflect") if any(borders) else pictures
        return seen.flip(3) if self.mirrored else seen


def random_view(shift: int, seed: int, step: int) -> View:
    """Return the view for a step: moved right and down by 0 to ``shift`` pixels, and mirrored in half of the steps.

    With a ``shift`` of 0 it is the picture itself. ``seed`` and ``step`` alone decide it.
    """
    if shift == 0:
        return View()
    right, down, mirrored = np.random.default_rng([seed, step]).integers(0, (shift + 1, shift + 1, 2))
    return View(int(right), int(down), bool(mirrored))


@dataclass(frozen=True)
class Tilt:
    """A picture rotated about its middle by ``angle`` degrees, enlarged by ``zoom``, then moved by pixels."""

    angle: float = 0.0
    zoom: float = 1.0
    right: float = 0.0
    down: float = 0.0

    def of(self, pictures: Tensor) -> Tensor:
        """Return the tilted [N, C, H, W], of the same size, as float32, with the picture's reflection around it."""
        height, width = pictures.shape[-2:]
        x, y = cos(radians(self.angle)) / self.zoom, sin(radians(self.angle)) / self.zoom
        # The source of each pixel, in units of half the width and half the height, as grid_sample takes it. affine_grid
        # would have to copy a matrix to the GPU, which first has to finish all other work.
        across, down = (_middles(extent, pictures.device) for extent in (width, height))
        across, down = across - 2 * self.right / width, (down - 2 * self.down / height)[:, None]
        sources = x * across + y * height / width * down, x * down - y * width / height * across
        grid = torch.stack(sources, 2).expand(len(pictures), -1, -1, -1)
        # Bilinear interpolation would blur, and a network would learn to oversharpen to make up for that.
        return F.grid_sample(pictures.float(), grid, "bicubic", "reflection", align_corners=False)


def _middles(extent: int, device: torch.device) -> Tensor:
    """Return the middles of ``extent`` pixels between -1 and 1."""
    return (2 * torch.arange(extent, dtype=torch.float32, device=device) + 1) / extent - 1


def random_tilt(angle: float, zoom: float, seed: int, step: int) -> Tilt:
    """Return the tilt for a step: by up to ``angle`` degrees, 1/``zoom`` to ``zoom`` times as large.

    It is moved by up to 2 pixels in each direction, to any phase of the four-pixel grid on which a network with two
    doublings draws. ``seed`` and ``step`` alone decide it.
    """
    rng = np.random.default_rng([seed, step, 1])
    turned, scaled = rng.uniform(-angle, angle), np.exp(rng.uniform(-log(zoom), log(zoom)))
    right, down = rng.uniform(-2, 2, 2)
    return Tilt(float(turned), float(scaled), float(right), float(down))
