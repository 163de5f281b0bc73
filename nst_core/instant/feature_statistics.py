"""Whitening and colouring of activations, and how far two sets of statistics are apart, for training.

Li et al. 2017 (arXiv 1705.08086).
"""

from __future__ import annotations

import torch
from torch import Tensor

# Eigenvalues below this share of the largest are dropped: their directions hold only noise.
LEAST_VARIANCE = 1e-5


def mean_and_covariance(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean [N, C, 1] and the covariance [N, C, C] of activations [N, C, h, w] over their places."""
    flat = features.flatten(2)
    mean = flat.mean(2, keepdim=True)
    centred = flat - mean
    return mean, centred @ centred.transpose(1, 2) / flat.shape[2]


def whitened_and_coloured(content: Tensor, style: Tensor) -> Tensor:
    """Give activations [N, C, h, w] the mean and covariance of ``style``: sqrt(S) C^(-1/2) (F - m) + n."""
    (mean, covariance), (style_mean, style_covariance) = mean_and_covariance(content), mean_and_covariance(style)
    transform = _power(style_covariance, 0.5) @ _power(covariance, -0.5)
    return (transform @ (content.flatten(2) - mean) + style_mean).view_as(content)


def statistics_loss(features: Tensor, style: Tensor) -> Tensor:
    """Return the relative squared distances of the means and the covariances of two activations, averaged."""
    pairs = zip(mean_and_covariance(features), mean_and_covariance(style), strict=True)
    distances = [
        (own - wanted).square().sum((1, 2)) / wanted.square().sum((1, 2)).clamp_min(1e-12) for own, wanted in pairs
    ]
    return torch.stack(distances).mean()


def _power(covariance: Tensor, exponent: float) -> Tensor:
    """Return a power of symmetric matrices [N, C, C]; directions without variance become 0."""
    values, vectors = torch.linalg.eigh(covariance.double())
    kept = values > LEAST_VARIANCE * values[:, -1:].clamp_min(1e-20)
    powers = torch.where(kept, values.clamp_min(1e-20) ** exponent, 0.0)
    power: Tensor = (vectors * powers[:, None] @ vectors.transpose(1, 2)).to(covariance)
    return power
