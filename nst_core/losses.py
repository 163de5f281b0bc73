"""Content, style and total-variation losses (Gatys et al. 2015, arXiv 1508.06576; Johnson et al. 2016).

Every feature loss is divided by its target's own size, so a weight of 1 means the same at any picture
size and with any network: a loss of 1 is "as wrong as no feature at all".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

EPSILON = 1e-8
LEVEL = 1 / 255
RIDGE = 1e-4
# Values of the features that a Gram matrix is made of at a time, where a processor makes it.
PART = 2**19


class _Gram(torch.autograd.Function):
    """F F^T of F [N, C, H, W], less ``centre`` if given, in float32: [N, C, C].

    Features of float32 are not rounded under autocast, as their gradient is. A few rows of pixels are taken at a time,
    which stay in a processor's cache: what is written once and read once, as large as the features, takes it longer
    than the products.
    """

    @staticmethod
    def forward(ctx, features: Tensor, centre: Tensor | None) -> Tensor:
        kind = features.device.type
        ctx.save_for_backward(features, centre)
        ctx.dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else features.dtype
        with torch.autocast(kind, enabled=False):
            return torch.stack([_product(part) for part in _parts(features, centre)]).sum(0)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        features, centre = ctx.saved_tensors
        both = (gradient + gradient.transpose(1, 2)).to(ctx.dtype)
        n, c, h, w = features.shape
        # Channels last, as a network of such features wants its gradient, which is added in place to a tensor that is
        # nobody's view.
        found = torch.empty_like(features, dtype=ctx.dtype, memory_format=torch.channels_last)
        pixels, first = found.permute(0, 2, 3, 1).view(n, h * w, c), 0
        for part in _parts(features, centre):
            last = first + part.shape[1]
            torch.bmm(part.to(ctx.dtype), both, out=pixels[:, first:last])
            first = last
        return found, None


def _parts(features: Tensor, centre: Tensor | None) -> Iterator[Tensor]:
    """The pixels of [N, C, H, W] less the centre, a few at a time: [N, pixels, C] each."""
    n, c, h, w = features.shape
    pixels = features.permute(0, 2, 3, 1).reshape(n, h * w, c)
    for part in pixels.split(max(1, PART // c) if features.device.type == "cpu" else h * w, dim=1):
        yield part if centre is None else part - centre.flatten(1)[:, None].to(part.dtype)


def _product(pixels: Tensor) -> Tensor:
    """The sum over the pixels, [N, pixels, C], of their channels' products: float32 [N, C, C]."""
    if pixels.device.type == "cpu":  # where a product of batches first copies what is not in the order that it wants
        return torch.stack([one.T @ one for one in pixels]).float()
    return (pixels.transpose(1, 2) @ pixels).float()


def gram_matrix(features: Tensor, centre: Tensor | None = None, head: Tensor | None = None) -> Tensor:
    """Channel correlations of [N, C, H, W] features: F F^T / (H W), [N, C, C].

    ``centre`` ([N or 1, C, 1, 1], without gradient) is subtracted from the features first, if given: before their
    product, of which so little may be left afterwards that in bfloat16 a tenth of it would be rounding. With ``head``,
    [D, C], these are the correlations of the channels that it makes of the features, [N, D, D].
    """
    found = _Gram.apply(features, centre) / (features.shape[2] * features.shape[3])
    if head is None:
        return found
    with torch.autocast(features.device.type, enabled=False):
        return head @ found @ head.T


def relative_square_error(value: Tensor, target: Tensor) -> Tensor:
    """||value - target||^2 / ||target||^2 for each picture of a batch, averaged; a scalar.

    ``target`` broadcasts over the batch: one style's Gram matrix may serve every picture.
    """

    def size(values: Tensor) -> Tensor:
        # A sum in bfloat16 would tell the loss in steps of its 256th part.
        dtype = torch.promote_types(values.dtype, torch.float32)
        return values.square().sum(tuple(range(1, values.dim())), dtype=dtype)

    return (size(value - target) / (size(target) + EPSILON)).mean()


def content_loss(
    features: Mapping[str, Tensor], targets: Mapping[str, Tensor], weights: Mapping[str, float] | None = None
) -> Tensor:
    """Mean over the target layers of the relative square error of the features, weighted by ``weights`` if given."""
    errors = [relative_square_error(features[layer], target) for layer, target in targets.items()]
    if weights is None or len(set(weights.values())) == 1:
        return torch.stack(errors).mean()
    shares = [weights[layer] for layer in targets]
    return torch.stack([share * error for share, error in zip(shares, errors, strict=True)]).sum() / sum(shares)


def style_loss(grams: Mapping[str, Tensor], targets: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Sum over the layers of ``weights`` of the weighted relative square error of the Gram matrices."""
    return torch.stack([w * relative_square_error(grams[layer], targets[layer]) for layer, w in weights.items()]).sum()


def wasserstein_2(
    mean: Tensor, covariance: Tensor, target_mean: Tensor, target_covariance: Tensor, target_root: Tensor | None = None
) -> Tensor:
    """Squared Wasserstein-2 distance between Gaussians, relative to the target's distance to nothing, averaged.

    Means are [N, C], covariances [N, C, C]; the targets broadcast over N. Between N(m, S) and N(t, T) it is
    |m - t|^2 + tr(S + T - 2 (T^1/2 S T^1/2)^1/2) (Dowson and Landau 1982; Olkin and Pukelsheim 1982), which is divided
    by |t|^2 + tr T: 1 is as wrong as features that are all nothing. ``target_root`` is ``ridged_root`` of the target's
    covariance, if it is known already.

    Fewer positions than channels make a covariance singular, where the root has no derivative. So a ten-thousandth of
    the target's mean variance is added to the variances of both: the distance between both with that much noise added.
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
    return (((mean - target_mean).square().sum(1) + spread) / size).mean().to(device, dtype)


def ridged_root(covariance: Tensor) -> Tensor:
    """The symmetric square root of [N, C, C] after the ridge of ``wasserstein_2`` is added, in float64."""
    covariance = _in_double(covariance)
    ridge = RIDGE * _trace(covariance) / covariance.shape[-1] + EPSILON
    values, vectors = torch.linalg.eigh(covariance)
    values = (values.clamp(min=0) + ridge[:, None]).sqrt()
    return vectors @ (values[:, :, None] * vectors.transpose(1, 2))


def _in_double(tensor: Tensor) -> Tensor:
    return tensor.cpu().double() if tensor.device.type == "mps" else tensor.double()  # Apple's GPUs have no float64


def _trace(matrices: Tensor) -> Tensor:
    return matrices.diagonal(dim1=1, dim2=2).sum(1)


def total_variation(image: Tensor, exponent: float = 1.0) -> Tensor:
    """Mean difference of horizontal neighbours plus that of vertical ones, of [N, 3, H, W]; a scalar.

    Absolute differences (Rudin, Osher and Fatemi 1992), raised to ``exponent`` and rounded off below one 8-bit level so
    that the gradient is smooth. Squared ones, as in Johnson et al. 2016, spare a faint mesh over the whole picture and
    blur its few strong edges, which is the wrong way round. Keras's example has 2.5.
    """
    dx = image[..., :, 1:] - image[..., :, :-1]
    dy = image[..., 1:, :] - image[..., :-1, :]
    # A picture one pixel wide has no horizontal neighbours: an empty mean would be NaN.
    return sum(
        (((d.square() + LEVEL**2).sqrt() ** exponent - LEVEL**exponent).mean() for d in (dx, dy) if d.numel()),
        image.new_zeros(()),
    )
