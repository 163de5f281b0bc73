"""Content, style and total-variation losses (Gatys et al. 2015, arXiv 1508.06576; Johnson et al. 2016).

Every feature loss is divided by its target's own size, so a weight of 1 means the same at any picture
size and with any network: a loss of 1 is "as wrong as no feature at all".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

EPSILON = 1e-8
LEVEL = 1 / 255
RIDGE = 1e-4
# Bytes of the features that a Gram matrix is made of at a time, where a processor makes it, and its rows.
PART, ROWS = 2**21, 128


class _Gram(torch.autograd.Function):
    """F F^T / (H W) of F [N, C, H, W], less ``centre`` if given, in float32: [N, C, C].

    Features of float32 are not rounded under autocast, as their gradient is.
    """

    @staticmethod
    def forward(ctx, features: Tensor, centre: Tensor | None) -> Tensor:
        centre = _as_pixel(centre, features)
        ctx.save_for_backward(features, centre)
        ctx.dtype = _gradient_dtype(features)
        return _mean_of_products(features, centre)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        features, centre = ctx.saved_tensors
        both = _both_ways(gradient, features, ctx.dtype)
        # Channels last, as a network of such features wants its gradient, which is added in place to a tensor that is
        # nobody's view.
        found = torch.empty_like(features, dtype=ctx.dtype, memory_format=torch.channels_last)
        for values, into, mean, factor in _by_picture(_last(features), _last(found), centre, both):
            for part, share in _parts(values, into):
                torch.matmul(_pixels(part, mean).to(ctx.dtype), factor, out=_pixels(share))
        return found, None


class _ReLUAndGram(torch.autograd.Function):
    """ReLU in place, and ``_Gram`` of its result, which are both returned.

    Together, since the gradient is as large as the features: while a part of it is in a processor's cache, the Gram
    matrix's share is added to what comes from the layers behind, and the ReLU's mask is laid upon it.
    """

    @staticmethod
    def forward(ctx, before: Tensor, centre: Tensor | None) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.dtype = _gradient_dtype(before)
        centre = _as_pixel(centre, before)
        gram = _mean_of_products(before, centre, relu=True)
        ctx.mark_dirty(before)
        ctx.save_for_backward(before, centre)
        return before, gram

    @staticmethod
    @once_differentiable
    def backward(ctx, after: Tensor | None, gram: Tensor | None) -> tuple[Tensor, None]:
        features, centre = ctx.saved_tensors
        both = None if gram is None else _both_ways(gram, features, ctx.dtype)
        # In place: convolutions, poolings and the content loss make a gradient that nobody else has.
        found = torch.zeros_like(features) if after is None else after
        found = found.contiguous(memory_format=torch.channels_last)
        for values, into, mean, factor in _by_picture(_last(features), _last(found), centre, both):
            for part, share in _parts(values, into):
                if factor is not None:
                    _add_product(_pixels(share), _pixels(part, mean).to(ctx.dtype), factor)
                torch.ops.aten.threshold_backward.grad_input(share, part, 0, grad_input=share)
        return found, None


def _gradient_dtype(features: Tensor) -> torch.dtype:
    kind = features.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else features.dtype


def _last(features: Tensor) -> Tensor:
    """[N, C, H, W] as [N, H, W, C]."""
    return features.permute(0, 2, 3, 1)


def _by_picture(features: Tensor, *others: Tensor | None) -> list[tuple[Any, ...]]:
    """[N, H, W, C] and what is theirs of the others, [N or 1, ...] or None: each picture's, on a processor, which would
    first make a copy of a whole batch, in the order that it wants; elsewhere all of them as they are."""
    if features.device.type != "cpu":
        return [(features, *others)]
    count = len(features)
    pictures = [
        [None] * count if values is None else values.expand(count, *values.shape[1:]).unbind() for values in others
    ]
    return list(zip(features, *pictures, strict=True))


def _parts(features: Tensor, *others: Tensor) -> list[tuple[Tensor, ...]]:
    """Views of a few rows of each of these [..., H, W, C].

    Few enough to stay in a processor's cache: what is written once and read once, as large as the features, takes it
    longer than the products.
    """
    height, width, channels = features.shape[-3:]
    rows = max(1, PART // (channels * width * features.element_size())) if features.device.type == "cpu" else height
    return list(zip(*(values.split(rows, -3) for values in (features, *others)), strict=True))


def _as_pixel(centre: Tensor | None, features: Tensor) -> Tensor | None:
    """[N or 1, C, 1, 1] as one of ``_pixels``, in the features' dtype: [N or 1, 1, C]."""
    return None if centre is None else centre.flatten(1)[:, None].to(features.dtype)


def _pixels(part: Tensor, centre: Tensor | None = None) -> Tensor:
    """[..., rows, W, C] less the centre, if given, as [..., pixels, C]: a view if not, and if in this order."""
    pixels = part.flatten(-3, -2)
    return pixels if centre is None else pixels - centre


def _mean_of_products(features: Tensor, centre: Tensor | None, relu: bool = False) -> Tensor:
    """The mean over the pixels of their channels' products: float32 [N, C, C]. Before it, a ReLU in place if asked."""
    n, c, height, width = features.shape
    found = features.new_zeros(n, c, c, dtype=torch.float32)
    rows = ROWS if features.device.type == "cpu" else c
    with torch.autocast(features.device.type, enabled=False):
        for values, mean, sums in _by_picture(_last(features), centre, found):
            # What is right of a block's columns is mirrored afterwards.
            blocks = [block[..., : (number + 1) * rows] for number, block in enumerate(sums.split(rows, -2))]
            for (part,) in _parts(values):
                pixels = _pixels(part.relu_() if relu else part, mean)
                for block, columns in zip(blocks, pixels.mT.split(rows, -2), strict=True):
                    _add_product(block, columns, pixels[..., : block.shape[-1]])
    for last in range(rows, c, rows):
        these = slice(last, last + rows)
        found[:, :last, these] = found[:, these, :last].mT
    return found.div_(height * width)


def _both_ways(gradient: Tensor, features: Tensor, dtype: torch.dtype) -> Tensor:
    """What the features are multiplied with to be their gradient, from that of the mean of their products."""
    found = gradient.new_empty(gradient.shape)
    for into, matrix in zip(found, gradient, strict=True):
        into.copy_(matrix.T)  # a processor is quicker at this than at adding what is not in its order
    return found.add_(gradient).div_(features.shape[2] * features.shape[3]).to(dtype)


def _add_product(sums: Tensor, one: Tensor, other: Tensor) -> None:
    """Add a product of matrices, [..., A, B] and [..., B, C], in place to [..., A, C]."""
    if sums.dim() == 2 and sums.dtype == one.dtype:
        sums.addmm_(one, other)
    else:
        sums += one @ other


def gram_matrix(features: Tensor, centre: Tensor | None = None, head: Tensor | None = None) -> Tensor:
    """Channel correlations of [N, C, H, W] features: F F^T / (H W), [N, C, C].

    ``centre`` ([N or 1, C, 1, 1], without gradient) is subtracted from the features first, if given: before their
    product, of which so little may be left afterwards that in bfloat16 a tenth of it would be rounding. With ``head``,
    [D, C], these are the correlations of the channels that it makes of the features, [N, D, D].
    """
    return _by_head(_Gram.apply(features, centre), head)


def relu_and_gram_matrix(
    before: Tensor, centre: Tensor | None = None, head: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """ReLU of ``before`` ([N, C, H, W]), which it overwrites, and the ``gram_matrix`` of that.

    For what goes on from there the first of both is to be used: the second one's gradient is then added to its.
    """
    after, found = _ReLUAndGram.apply(before, centre)
    return after, _by_head(found, head)


def _by_head(gram: Tensor, head: Tensor | None) -> Tensor:
    if head is None:
        return gram
    with torch.autocast(gram.device.type, enabled=False):
        return head @ gram @ head.T


def relative_square_error(value: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """||value - target||^2 / ||target||^2 for each picture of a batch, times its weight if given, averaged; a scalar.

    ``target``, without gradient, broadcasts over the batch: one style's Gram matrix may serve every picture.
    ``weights`` are [N].
    """
    return _RelativeSquareError.apply(value, target, weights)


class _RelativeSquareError(torch.autograd.Function):
    """With a gradient of its own, in half the passes over what is too large for a processor's cache."""

    @staticmethod
    def forward(ctx, value: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
        difference, sizes = value - target, _size(target) + EPSILON
        sizes = sizes if weights is None else sizes / weights.clamp_min(EPSILON)
        ctx.save_for_backward(difference, sizes)
        return (_size(difference) / sizes).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        difference, sizes = ctx.saved_tensors
        factors = (2 * gradient / len(difference) / sizes).expand(len(difference))
        return difference * factors.view(-1, *[1] * (difference.dim() - 1)).to(difference.dtype), None, None


def _size(values: Tensor) -> Tensor:
    """The sum of the squares of each picture's values. In bfloat16 it would tell the loss in steps of a 256th part."""
    dtype = torch.promote_types(values.dtype, torch.float32)
    return torch.linalg.vector_norm(values, dim=tuple(range(1, values.dim())), dtype=dtype).square()


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
    return _TotalVariation.apply(image, exponent)


class _TotalVariation(torch.autograd.Function):
    """With a gradient of its own: step by step, there and back, it would take a processor three times as long."""

    @staticmethod
    def forward(ctx, image: Tensor, exponent: float) -> Tensor:
        found, slopes = image.new_zeros(()), []
        for dim in (3, 2):
            difference = image.diff(dim=dim)
            if difference.numel():  # a picture one pixel wide has no horizontal neighbours: their mean would be NaN
                size = (difference.square() + LEVEL**2).sqrt_()
                found += (_power(size, exponent) - LEVEL**exponent).mean()
                slopes.append(difference.mul_(_power(size, exponent - 2)).mul_(exponent / difference.numel()))
            else:
                slopes.append(difference)
        ctx.save_for_backward(*slopes)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        across, down = ctx.saved_tensors
        found = across.new_zeros(*across.shape[:3], down.shape[3])
        found[..., 1:] += across
        found[..., :-1] -= across
        found[..., 1:, :] += down
        found[..., :-1, :] -= down
        return found.mul_(gradient), None


def _power(values: Tensor, exponent: float) -> Tensor:
    """Those that need no logarithm are quicker."""
    return values if exponent == 1 else values.reciprocal() if exponent == -1 else values**exponent
