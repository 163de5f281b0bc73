"""Decide which style each training photo is painted in, and by which mixture of the style's rows."""

from __future__ import annotations

import numpy as np

from nst_core.base.training_settings import TrainSettings


def style_schedule(step: int, batch: int, styles: int, seed: int) -> np.ndarray:
    """Return the style of each photo of a training step, int64 [batch].

    All styles come equally often, in an order that changes from round to round. ``step`` and ``seed`` alone decide it,
    so a resumed training gets what an uninterrupted one would.
    """
    rounds, positions = np.divmod(np.arange(step * batch, (step + 1) * batch), styles)
    orders = {n: np.random.default_rng([seed, int(n), 2]).permutation(styles) for n in np.unique(rounds)}
    return np.array([orders[n][position] for n, position in zip(rounds, positions, strict=True)])


def row_mixtures(step: int, settings: TrainSettings) -> np.ndarray:
    """Return the share of each row in each painting of a training step, float32 [batch, rows]; the rows sum to 1.

    The rows take turns, within a batch and from step to step, except for ``settings.mixed_share`` of the paintings,
    whose mixture is random. ``step`` and the settings' seed alone decide it.
    """
    batch = settings.batch
    if len(settings.rows) == 1:
        return np.ones((batch, 1), np.float32)
    rng = np.random.default_rng([settings.seed, step, 3])
    random = rng.random(batch)
    turn = np.arange(step * batch, (step + 1) * batch) % 2
    first = np.where(rng.random(batch) < settings.mixed_share, random, turn)
    return np.stack([first, 1 - first], 1).astype(np.float32)
