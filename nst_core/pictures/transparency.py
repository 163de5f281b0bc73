"""Fill what is transparent in a picture, because networks take no alpha channel. This loads without PyTorch."""

from __future__ import annotations

import numpy as np


def filled(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return RGB, float32 [H, W, 3], over its own mean visible colour; ``alpha`` is float32 [H, W, 1] in 0..1.

    The colours under transparent pixels do not matter then, and the mean does not bleed a foreign colour into the
    painting.
    """
    visible = alpha.sum()
    mean = (rgb * alpha).sum((0, 1)) / visible if visible > 0 else rgb.mean((0, 1))
    mixed: np.ndarray = rgb * alpha + mean.astype(np.float32) * (1 - alpha)
    return mixed
