"""Express a fast painting's objective as a number of iterations, and summarise the records of each style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.measuring.record_files import Record
from benchmarks.quality.scores import ORIGINS


def worth_in_iterations(fast: float, iterations: Sequence[int], objectives: Sequence[float]) -> float:
    """Return after how many iterations a render's objective falls to ``fast``.

    The logarithm of the objective is interpolated linearly in the logarithm of the iterations. The best picture so far
    counts, even if a later one is worse. Returns 0 before the first measured point and infinity after the last.
    """
    best = np.minimum.accumulate(objectives)
    if fast > best[0]:
        return 0.0
    if fast < best[-1]:
        return math.inf
    return float(np.exp(np.interp(-np.log(fast), -np.log(best), np.log(iterations))))


@dataclass(frozen=True)
class Summary:
    """A style over all its photos.

    Attributes:
        iterations: after which the renders were judged.
        fast: the mean objective of the fast paintings.
        render: the mean objectives of the renders after each of ``iterations``, for each of ORIGINS.
        worth: the worth of the mean objectives, and the least and the most of a single photo, for each of ORIGINS.
        look: the median of each metric of appearance, for the fast paintings and for the renders.
    """

    title: str
    iterations: Sequence[int]
    fast: float
    render: dict[str, list[float]]
    worth: dict[str, tuple[float, float, float]]
    look: dict[str, dict[str, float]]


def summarise(records: Sequence[Record]) -> list[Summary]:
    """Return a summary of each style in the records."""
    styles: dict[str, list[Record]] = {}
    for record in records:
        styles.setdefault(record["style"], []).append(record)
    return [_summarise_style(members) for members in styles.values()]


def _summarise_style(records: Sequence[Record]) -> Summary:
    iterations = records[0]["iterations"]
    fast = float(np.mean([record["fast"]["objective"] for record in records]))
    curves = {start: np.mean([record["render"][start] for record in records], 0).tolist() for start in ORIGINS}
    worth = {}
    for start in ORIGINS:
        single = [
            worth_in_iterations(record["fast"]["objective"], iterations, record["render"][start]) for record in records
        ]
        worth[start] = (worth_in_iterations(fast, iterations, curves[start]), min(single), max(single))
    looks = {"fast": [record["fast"]["look"] for record in records], "render": [record["look"] for record in records]}
    medians = {
        kind: {name: float(np.median([look[name] for look in single])) for name in single[0]}
        for kind, single in looks.items()
    }
    return Summary(records[0]["title"], iterations, fast, curves, worth, medians)
