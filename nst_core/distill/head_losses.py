"""The losses of a student's heads, computed without the features that they predict.

The heads are linear, so inner products of the student's own channels determine every loss. The heads predict several
times as many channels, and these never have to be computed.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst_core.distill.student import relu_of
from nst_core.features.vgg import VGGNetwork
from nst_core.losses.loss_kernels import blocked_gram_matrix

# The weight of the features before the ReLU, which hardly any loss uses, relative to those after it.
BEFORE_RELU = 0.1


def head_losses(student: VGGNetwork, layer: str, own: Tensor, before: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss of the heads of ``layer``, and the loss of the centred Gram matrix that they give.

    Args:
        student: the network whose heads are trained.
        layer: a convolution, such as ``conv3_1``.
        own: the student's own channels after the ReLU, [N, C, h, w].
        before: the teacher's channels before the ReLU, [N, D, h, w].
        scale: the standard deviations of the teacher's channels, [1, D, 1, 1].
    """
    n, channels, height, width = own.shape
    own, before = own.float(), before.float() / scale
    own = torch.cat([own, own.new_ones(n, 1, height, width)], 1)
    inner = _inner_products(own, own)
    loss, after = own.new_zeros(()), F.relu(before)
    for target, head, share in ((before, layer, BEFORE_RELU), (after, relu_of(layer), 1.0)):
        matrix = _matrix(student.heads[head])
        # |matrix own - target|^2, expanded and summed over the pixels.
        square = (matrix @ inner.sum(0) * matrix).sum() - 2 * (matrix.T * _inner_products(own, target).sum(0)).sum()
        loss = loss + share * (square + target.square().sum()) / target.numel()
    mean = after.mean((2, 3), keepdim=True)
    centred = _matrix(student.heads[relu_of(layer)]) - F.pad(mean.flatten(2), (channels, 0))
    gram = centred @ inner @ centred.transpose(1, 2) / (height * width)
    return loss, _gram_loss(gram, blocked_gram_matrix(after, mean), scale.flatten())


def _matrix(head: nn.Module) -> Tensor:
    """Return a head's weights with the bias as the last column: [D, C + 1]."""
    weight, bias = (cast(Tensor, getattr(head, part)) for part in ("weight", "bias"))
    return torch.cat([weight.flatten(1), bias[:, None]], 1)


def _inner_products(a: Tensor, b: Tensor) -> Tensor:
    """Return the inner products, over the pixels, of [N, C, h, w] with [N, D, h, w], channel by channel: [N, C, D]."""
    pixels = (v.permute(0, 2, 3, 1).flatten(1, 2) for v in (a, b))
    return torch.stack([one.T @ other for one, other in zip(*pixels, strict=True)])


def _gram_loss(gram: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    """Return the loss of centred Gram matrices [N, D, D] in the teacher's units, similar to a render's.

    Each picture's error is divided by its own matrix and by that of the mean picture: with its own alone, a flat
    picture, whose matrix is close to zero, would outweigh all others.
    """
    gram, target = (scale[:, None] * scale * value for value in (gram, target))
    size = target.square().sum((1, 2))
    return 2 * ((gram - target).square().sum((1, 2)) / (size + size.mean())).mean()
