"""Decide which style each training photo is painted in."""

from __future__ import annotations

import numpy as np


def style_schedule(step: int, batch: int, styles: int, seed: int) -> np.ndarray:
    """Return the style of each photo of a training step, int64 [batch].

    All styles come equally often, in an order that changes from round to round. ``step`` and ``seed`` alone decide it,
    so a resumed training gets what an uninterrupted one would.
    """
    rounds, positions = np.divmod(np.arange(step * batch, (step + 1) * batch), styles)
    orders = {n: np.random.default_rng([seed, int(n), 2]).permutation(styles) for n in np.unique(rounds)}
    return np.array([orders[n][position] for n, position in zip(rounds, positions, strict=True)])
