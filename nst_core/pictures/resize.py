"""Resize picture tensors, and smooth their grain."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resized(image: Tensor, height: int, width: int) -> Tensor:
    """Resize [N, C, H, W] to [N, C, height, width], bicubic with antialiasing, clamped to 0..1."""
    if image.shape[-2:] == (height, width):
        return image
    return F.interpolate(image, (height, width), mode="bicubic", antialias=True).clamp(0, 1)


def resized_to_area(image: Tensor, size: float) -> Tensor:
    """Resize [N, C, H, W] to an area of about ``size`` x ``size`` pixels; the aspect ratio stays."""
    h, w = image.shape[-2:]
    scale = size / (h * w) ** 0.5
    return resized(image, max(1, round(h * scale)), max(1, round(w * scale)))


def resized_to_long_side(image: Tensor, size: int) -> Tensor:
    """Resize [N, C, H, W] to ``size`` pixels on the longer side; the aspect ratio stays."""
    h, w = image.shape[-2:]
    scale = size / max(h, w)
    return resized(image, max(1, round(h * scale)), max(1, round(w * scale)))


def without_grain(image: Tensor, grain: float) -> Tensor:
    """Smooth [N, 3, H, W] where it varies by less than about ``grain`` within 5x5 pixels; edges stay.

    This is the guided filter (He, Sun and Tang, "Guided Image Filtering", 2010, section 3.2), for each channel alone.
    """

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(values, (2, 2, 2, 2), mode="replicate"), 5, 1)

    if not grain:
        return image
    local = mean(image)
    variance = (mean(image.square()) - local.square()).clamp(min=0)
    kept = variance / (variance + grain**2)
    return mean(kept) * image + mean(local - kept * local)
