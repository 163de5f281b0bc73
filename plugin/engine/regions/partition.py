"""Divide a picture among masks, exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from plugin.engine.regions.masks import feathered
from plugin.engine.regions.region_settings import MOST_REGIONS

# Shares are whole numbers of this part of 1. A power of two, so they and their sums are exact in float32.
UNITS = 2**15
# Eight-bit masks whose sum exceeds 1 by less than a step do not overlap.
ROUNDING = 1 / 255


def partition(masks: Sequence[np.ndarray], size: tuple[int, int], feather: int = 0) -> tuple[np.ndarray, list[str]]:
    """Divide a picture of a height and width, ``size``, among masks, float32 [H, W] in 0..1.

    Returns the shares, and sentences for the user. The shares are uint16 [masks + 1, H, W], in units of 1 / UNITS; the
    last is what no mask has. In each pixel they sum to UNITS exactly. Where masks together exceed 1 they are divided by
    their sum. Each share is feathered (see ``feathered``), so farther than ``feather`` from a mask's edge it is exactly
    what it was.

    Raises StyleError if there are more than MOST_REGIONS masks.
    """
    if len(masks) > MOST_REGIONS:
        raise StyleError(
            _("{count} regions are too many; give at most {most}.").format(count=len(masks), most=MOST_REGIONS)
        )
    notes = []
    total = np.sum(masks, axis=0, dtype=np.float32) if masks else np.zeros(size, np.float32)
    if np.max(total) > 1 + ROUNDING:
        notes.append(_("Some masks overlap; where they do, their styles are blended."))
    shares = np.empty((len(masks) + 1, *size), np.uint16)
    sums, reached = np.zeros(size, np.float32), np.zeros(size, np.uint16)
    for mask, share in zip(masks, shares, strict=False):
        sums += feathered(np.where(total > 1, mask / np.maximum(total, 1), mask), feather)
        units = np.round(sums.clip(0, 1) * np.float32(UNITS)).astype(np.uint16)
        # Rounding the sums rather than the shares keeps their sum exact.
        np.subtract(units, reached, out=share)
        reached = units
    shares[-1] = UNITS - reached
    return shares, notes


def as_weights(share: np.ndarray) -> np.ndarray:
    """Return a share, uint16 in units, as float32 in 0..1, exactly."""
    weights: np.ndarray = share.astype(np.float32) * np.float32(1 / UNITS)
    return weights
