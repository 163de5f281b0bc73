"""Measure how well a student agrees with its teacher."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from nst_core.features.network import FeatureNetwork


def agreement(
    student: FeatureNetwork, teacher: FeatureNetwork, pictures: Iterable[Tensor], layers: Iterable[str]
) -> dict[str, float]:
    """Return, by layer, the median over the channels of the correlation between the two networks' features.

    ``pictures`` are [1, 3, H, W]; every pixel of each is a sample. Channels that are constant in either network count
    as 0, so dead ones show.
    """
    layers = list(layers)
    sums: dict[str, tuple[int, Tensor]] = {}
    with torch.no_grad():
        for picture in pictures:
            a, b = student(picture, layers), teacher(picture, layers)
            for layer in layers:
                x, y = (v[layer][0].flatten(1).cpu().double() for v in (a, b))
                new = torch.stack([x.sum(1), y.sum(1), (x * x).sum(1), (y * y).sum(1), (x * y).sum(1)])
                count, old = sums.get(layer, (0, torch.zeros_like(new)))
                sums[layer] = (count + x.shape[1], old + new)
    result = {}
    for layer, (n, (x, y, xx, yy, xy)) in sums.items():
        variances = (xx / n - (x / n) ** 2) * (yy / n - (y / n) ** 2)
        correlation = (xy / n - x * y / n**2) / variances.clamp_min(0).sqrt()
        result[layer] = correlation.nan_to_num(0.0, 0.0, 0.0).median().item()
    return result
