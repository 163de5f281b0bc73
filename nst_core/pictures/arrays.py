"""Convert pictures between NumPy arrays and tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def as_tensor(pixels: np.ndarray) -> Tensor:
    """Return an array [H, W, C] as a tensor [1, C, H, W] of the same type and values."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]


def as_array(picture: Tensor) -> np.ndarray:
    """Return a tensor [1, C, H, W], on any device, as an array [H, W, C] of the same type and values."""
    return picture[0].permute(1, 2, 0).cpu().numpy()
