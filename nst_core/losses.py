"""Content, style and total-variation losses (Gatys et al. 2015, arXiv 1508.06576; Johnson et al. 2016).

Every feature loss is divided by its target's own size, so a weight of 1 means the same at any picture
size and with any network: a loss of 1 is "as wrong as no feature at all".
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

EPSILON = 1e-8
LEVEL = 1 / 255
RIDGE = 1e-4
# Bytes of the features that a Gram matrix is made of at a time, where a processor makes it, and its rows.
PART, ROWS = 2**21, 128


class _Gram(torch.autograd.Function):
    """F F^T of F [N, C, H, W], less ``centre`` if given, in float32: [N, C, C].

    Features of float32 are not rounded under autocast, as their gradient is.
    """

    @staticmethod
    def forward(ctx, features: Tensor, centre: Tensor | None) -> Tensor:
        ctx.save_for_backward(features, centre)
        ctx.dtype = _gradient_dtype(features)
        return _sum_of_products(features, centre)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        features, centre = ctx.saved_tensors
        both = (gradient + gradient.transpose(1, 2)).to(ctx.dtype)
        # Channels last, as a network of such features wants its gradient, which is added in place to a tensor that is
        # nobody's view.
        found = torch.empty_like(features, dtype=ctx.dtype, memory_format=torch.channels_last)
        for part, share in _parts(features, found):
            torch.bmm(_pixels(part, centre).to(ctx.dtype), both, out=_pixels(share))
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
        gram = _sum_of_products(before, centre, relu=True)
        ctx.mark_dirty(before)
        ctx.save_for_backward(before, centre)
        return before, gram

    @staticmethod
    @once_differentiable
    def backward(ctx, after: Tensor | None, gram: Tensor | None) -> tuple[Tensor, None]:
        features, centre = ctx.saved_tensors
        both = None if gram is None else (gram + gram.transpose(1, 2)).to(ctx.dtype)
        # In place: convolutions, poolings and the content loss make a gradient that nobody else has.
        found = torch.zeros_like(features) if after is None else after
        found = found.contiguous(memory_format=torch.channels_last)
        for part, share in _parts(features, found):
            if both is not None:
                _add_products(_pixels(share), _pixels(part, centre).to(ctx.dtype), both)
            torch.ops.aten.threshold_backward.grad_input(share, part, 0, grad_input=share)
        return found, None


def _gradient_dtype(features: Tensor) -> torch.dtype:
    kind = features.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else features.dtype


def _parts(features: Tensor, *others: Tensor) -> list[tuple[Tensor, ...]]:
    """Views of a few rows of each of these [N, C, H, W], channels last: [N, rows, W, C].

    Few enough to stay in a processor's cache: what is written once and read once, as large as the features, takes it
    longer than the products.
    """
    _, channels, height, width = features.shape
    rows = max(1, PART // (channels * width * features.element_size())) if features.device.type == "cpu" else height
    parts = [values.permute(0, 2, 3, 1).split(rows, 1) for values in (features, *others)]
    return list(zip(*parts, strict=True))


def _pixels(part: Tensor, centre: Tensor | None = None) -> Tensor:
    """[N, rows, W, C] less the centre, if given, as [N, pixels, C]: a view if not, and if the part is in this order."""
    pixels = part.flatten(1, 2)
    return pixels if centre is None else pixels - centre.flatten(1)[:, None].to(part.dtype)


def _sum_of_products(features: Tensor, centre: Tensor | None, relu: bool = False) -> Tensor:
    """The sum over the pixels of their channels' products: float32 [N, C, C]. Before it, a ReLU in place if asked."""
    n, c, _, _ = features.shape
    found = features.new_zeros(n, c, c, dtype=torch.float32)
    rows = ROWS if features.device.type == "cpu" else c
    with torch.autocast(features.device.type, enabled=False):
        for (part,) in _parts(features):
            pixels = _pixels(part.relu_() if relu else part, centre)
            for last in range(rows, c + rows, rows):  # what is right of these columns is mirrored afterwards
                these = slice(last - rows, last)
                _add_products(found[:, these, :last], pixels[..., these].transpose(1, 2), pixels[..., :last])
    return found.tril() + found.tril(-1).transpose(1, 2)


def _add_products(values: Tensor, ones: Tensor, others: Tensor) -> None:
    """Add the products of matrices, [N, A, B] and [N, B, C], in place to [N, A, C]."""
    if values.device.type != "cpu":
        values += ones @ others
        return
    # Of a whole batch a processor would first make a copy that is in the order wanted.
    for value, one, other in zip(values, ones, others, strict=True):
        if value.dtype == one.dtype:
            value.addmm_(one, other)
        else:
            value += one @ other


def gram_matrix(features: Tensor, centre: Tensor | None = None, head: Tensor | None = None) -> Tensor:
    """Channel correlations of [N, C, H, W] features: F F^T / (H W), [N, C, C].

    ``centre`` ([N or 1, C, 1, 1], without gradient) is subtracted from the features first, if given: before their
    product, of which so little may be left afterwards that in bfloat16 a tenth of it would be rounding. With ``head``,
    [D, C], these are the correlations of the channels that it makes of the features, [N, D, D].
    """
    return _scaled(_Gram.apply(features, centre), features, head)


def relu_and_gram_matrix(
    before: Tensor, centre: Tensor | None = None, head: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """ReLU of ``before`` ([N, C, H, W]), which it overwrites, and the ``gram_matrix`` of that.

    For what goes on from there the first of both is to be used: the second one's gradient is then added to its.
    """
    after, found = _ReLUAndGram.apply(before, centre)
    return after, _scaled(found, after, head)


def _scaled(products: Tensor, features: Tensor, head: Tensor | None) -> Tensor:
    found = products / (features.shape[2] * features.shape[3])
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
