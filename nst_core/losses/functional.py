"""Content, style and total-variation losses as the papers write them (Gatys et al. 2015, arXiv 1508.06576).

Every feature loss is divided by its target's own size, so a weight of 1 means the same at any picture size and with any
network: a loss of 1 is "as wrong as no feature at all". loss_kernels.py computes some of these formulas faster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

EPSILON = 1e-8
# One step of an 8-bit value; smaller differences cannot be seen.
LEVEL = 1 / 255
# What wasserstein_2 adds to the variances, as a share of the target's mean variance.
RIDGE = 1e-4

SquareError = Callable[[Tensor, Tensor], Tensor]
"""Computes ``relative_square_error`` from a value and its target."""


def gram_matrix(features: Tensor) -> Tensor:
    """Compute the channel correlations F F^T / (H W) of features F, [N, C, H, W]: [N, C, C]."""
    pixels = features.flatten(2)
    return pixels @ pixels.mT / pixels.shape[2]


def centred_gram_matrix(features: Tensor, centre: Tensor) -> Tensor:
    """Compute the Gram matrix of features, [N, C, H, W], less ``centre``, [N or 1, C, 1, 1]: [N, C, C].

    With their own mean as the centre, this is the features' covariance.
    """
    return gram_matrix(features - centre)


def guided_gram_matrix(features: Tensor, weights: Tensor, centre: Tensor | None = None) -> Tensor:
    """Compute the Gram matrix of features F, [1, C, H, W], in each of several regions: [R, C, C].

    ``weights``, [R, H, W], are at least 0 and say how much each place belongs to each region: sum w F F^T / sum w, with
    ``centre``, [R, C, 1, 1], subtracted from F first. These are the guided Gram matrices of Gatys et al. 2017 (arXiv
    1611.07865, section 4), whose guidance channels are the square roots of the weights, divided by their own size. A
    region that has no place has a matrix of zeros.
    """
    pixels = features.flatten(2) if centre is None else (features - centre).flatten(2)
    shares = weights.flatten(1)[:, None]
    return (pixels * shares) @ pixels.mT / (shares.sum(2, keepdim=True) + EPSILON)


def relative_square_error(value: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Compute ||value - target||^2 / ||target||^2 for each picture of a batch, averaged; a scalar.

    ``target`` broadcasts over the batch: one style's Gram matrix may serve every picture. ``weights``, [N], multiply
    the pictures' errors before they are averaged.
    """
    errors = square_norm(value - target) / (square_norm(target) + EPSILON)
    return (errors if weights is None else weights * errors).mean()


def mean_activation(features: Tensor) -> Tensor:
    """Compute the mean over the pixels of [N, C, H, W]: float32 [N, C]."""
    return features.mean((2, 3), dtype=torch.float32)


def square_norm(values: Tensor) -> Tensor:
    """Sum the squares of each picture's values, at least in float32: [N].

    In bfloat16, a sum changes only in steps of a 256th of itself.
    """
    dtype = torch.promote_types(values.dtype, torch.float32)
    norm: Tensor = torch.linalg.vector_norm(values, dim=tuple(range(1, values.dim())), dtype=dtype)
    return norm.square()


def content_loss(
    features: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    weights: Mapping[str, float] | None = None,
    square_error: SquareError = relative_square_error,
) -> Tensor:
    """Compute the mean over the target layers of the features' relative square error, weighted if asked; a scalar."""
    errors = [square_error(features[layer], target) for layer, target in targets.items()]
    if weights is None or len(set(weights.values())) == 1:
        return torch.stack(errors).mean()
    shares = [weights[layer] for layer in targets]
    return torch.stack([share * error for share, error in zip(shares, errors, strict=True)]).sum() / sum(shares)


def style_loss(
    grams: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    weights: Mapping[str, float],
    square_error: SquareError = relative_square_error,
) -> Tensor:
    """Compute the weighted sum over the layers of ``weights`` of the Gram matrices' relative square error; a scalar."""
    return torch.stack([w * square_error(grams[layer], targets[layer]) for layer, w in weights.items()]).sum()


def wasserstein_2(
    mean: Tensor, covariance: Tensor, target_mean: Tensor, target_covariance: Tensor, target_root: Tensor | None = None
) -> Tensor:
    """Compute the squared Wasserstein-2 distance between Gaussians, relative to the target's distance from 0; a scalar.

    Means are [N, C], covariances [N, C, C]; the targets broadcast over N, and the mean over N is returned. Between
    N(m, S) and N(t, T) the distance is |m - t|^2 + tr(S + T - 2 (T^1/2 S T^1/2)^1/2) (Dowson and Landau 1982; Olkin and
    Pukelsheim 1982), divided by |t|^2 + tr T: 1 is as wrong as features that are all 0. ``target_root`` is
    ``ridged_root`` of the target's covariance, if that is already known.

    Fewer positions than channels make a covariance singular, and there the root has no derivative. So RIDGE times the
    target's mean variance is added to the variances of both: the distance between both with that much noise added.
    Computed in float64, since in float32 the smallest eigenvalues would be noise.
    """
    device, dtype = mean.device, mean.dtype
    mean, covariance, target_mean, target_covariance = map(
        _in_double, (mean, covariance, target_mean, target_covariance)
    )
    root = ridged_root(target_covariance) if target_root is None else target_root
    ridge = RIDGE * _trace(target_covariance) / target_covariance.shape[-1] + EPSILON
    product = root @ covariance @ root + ridge[:, None, None] * (root @ root)
    # Rounding may leave the smallest eigenvalues just below 0.
    cross = torch.linalg.eigvalsh((product + product.transpose(1, 2)) / 2).clamp(min=EPSILON**2).sqrt().sum(1)
    spread = _trace(covariance) + _trace(target_covariance) + 2 * ridge * covariance.shape[-1] - 2 * cross
    size = target_mean.square().sum(1) + _trace(target_covariance) + EPSILON
    distance: Tensor = (((mean - target_mean).square().sum(1) + spread) / size).mean()
    return distance.to(device, dtype)


def ridged_root(covariance: Tensor) -> Tensor:
    """Compute the symmetric square root of [N, C, C] with the ridge of ``wasserstein_2`` added, in float64."""
    covariance = _in_double(covariance)
    ridge = RIDGE * _trace(covariance) / covariance.shape[-1] + EPSILON
    values, vectors = torch.linalg.eigh(covariance)
    values = (values.clamp(min=0) + ridge[:, None]).sqrt()
    root: Tensor = vectors @ (values[:, :, None] * vectors.transpose(1, 2))
    return root


def _in_double(tensor: Tensor) -> Tensor:
    return tensor.cpu().double() if tensor.device.type == "mps" else tensor.double()  # Apple's GPUs have no float64


def _trace(matrices: Tensor) -> Tensor:
    return matrices.diagonal(dim1=1, dim2=2).sum(1)


def total_variation(image: Tensor, exponent: float = 1.0) -> Tensor:
    """Compute the mean difference of horizontal neighbours plus that of vertical ones, of [N, 3, H, W]; a scalar.

    These are absolute differences (Rudin, Osher and Fatemi 1992), raised to ``exponent`` and rounded off below LEVEL to
    keep the gradient smooth. Squared ones, as in Johnson et al. 2016, spare a faint mesh over the whole picture and
    blur its few strong edges, the reverse of what is wanted. Keras's example raises them to 2.5.
    """
    total = image.new_zeros(())
    for differences in (image.diff(dim=3), image.diff(dim=2)):
        if differences.numel():  # a picture one pixel wide has no horizontal neighbours, and their mean would be NaN
            sizes = (differences.square() + LEVEL**2).sqrt()
            total = total + (sizes**exponent - LEVEL**exponent).mean()
    return total
