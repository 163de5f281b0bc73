"""Resizing of picture tensors."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resized(image: Tensor, height: int, width: int) -> Tensor:
    """[N, 3, H, W] to [N, 3, height, width], bicubic with antialiasing, clamped to 0..1."""
    if image.shape[-2:] == (height, width):
        return image
    return F.interpolate(image, (height, width), mode="bicubic", antialias=True).clamp(0, 1)


def resized_to_area(image: Tensor, size: float) -> Tensor:
    """Scaled, its aspect kept, to about ``size`` x ``size`` pixels in all."""
    h, w = image.shape[-2:]
    scale = size / (h * w) ** 0.5
    return resized(image, max(1, round(h * scale)), max(1, round(w * scale)))


def resized_to_long_side(image: Tensor, size: int) -> Tensor:
    """Scaled, its aspect kept, so that the longer side has ``size`` pixels."""
    h, w = image.shape[-2:]
    scale = size / max(h, w)
    return resized(image, max(1, round(h * scale)), max(1, round(w * scale)))
