"""Looking at a picture anew in every step, so that no optimiser can please one view of it only.

A feature network is most wrong where an optimiser leads it: in patterns that fit its pooling grid, and that mean
nothing when they are moved by a pixel. Moving the picture at random between steps is the cure that Mordvintsev et al.
(2015) found for Deep Dream and Olah et al. (2017, "Feature Visualization") called transformation robustness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class View:
    """A picture moved right and down by whole pixels and then, if ``mirrored``, turned left to right."""

    right: int = 0
    down: int = 0
    mirrored: bool = False

    def of(self, pictures: Tensor) -> Tensor:
        """The view of [N, C, H, W]: [N, C, H + down, W + right]. What comes into view is the picture's reflection."""
        seen = F.pad(pictures, (self.right, 0, self.down, 0), "reflect") if self.right or self.down else pictures
        return seen.flip(3) if self.mirrored else seen


def random_view(shift: int, seed: int, step: int) -> View:
    """The view for a step: moved by 0 to ``shift`` pixels each way and mirrored or not; as it is if ``shift`` is 0."""
    if shift == 0:
        return View()
    right, down, mirrored = np.random.default_rng([seed, step]).integers(0, (shift + 1, shift + 1, 2))
    return View(int(right), int(down), bool(mirrored))
