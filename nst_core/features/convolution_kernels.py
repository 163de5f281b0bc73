"""Fast convolutions, paddings and poolings for networks whose weights take no gradient, on a CPU.

Each says which plain PyTorch call it equals and what it saves: milliseconds of the plain call and of the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input


def frozen_convolution(
    x: Tensor, weight: Tensor, bias: Tensor, padding: int, gradient_dtype: torch.dtype | None = None
) -> Tensor:
    """Compute ``F.conv2d(x, weight, bias, padding=padding)`` with a gradient for ``x`` alone.

    With ``gradient_dtype``, under autocast, the result is float32 all the same, and only its gradient is computed in
    that type. The gradient of three input channels is computed by ``thin_convolution_gradient``.
    """
    result: Tensor = _FrozenConvolution.apply(x, weight, bias, padding, gradient_dtype)
    return result


class _FrozenConvolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, padding: int, gradient_dtype: torch.dtype | None
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.shape, ctx.padding, ctx.gradient_dtype = x.shape, padding, gradient_dtype
        if gradient_dtype is None:
            return F.conv2d(x, weight, bias, padding=padding)
        with torch.autocast(x.device.type, enabled=False):
            return F.conv2d(x.float(), weight, bias, padding=padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (weight,) = ctx.saved_tensors
        gradient = gradient.to(ctx.gradient_dtype or gradient.dtype)
        weight = weight.to(gradient.dtype)
        if is_thin(weight):
            return thin_convolution_gradient(ctx.shape, weight, gradient, ctx.padding), None, None, None, None
        return conv2d_input(ctx.shape, weight, gradient, padding=ctx.padding), None, None, None, None


def is_thin(weight: Tensor) -> bool:
    """Return whether a convolution makes many channels of a picture's three, on a CPU, as VGG's conv1_1 does."""
    return weight.device.type == "cpu" and weight.shape[0] >= 64 and weight.shape[1:] == (3, 3, 3)


def thin_convolution_gradient(shape: torch.Size, weight: Tensor, gradient: Tensor, padding: int) -> Tensor:
    """Compute ``conv2d_input(shape, weight, gradient, padding=padding)`` for an input of three channels.

    Three channels leave a CPU's vectors nearly empty. So this computes 2x2 pixels of the result together, as if they
    were channels, from 4x4 values of the gradient.
    """
    flipped = weight.flip(2, 3)
    pixels = [F.pad(flipped, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
    kernel = torch.stack(pixels).permute(2, 0, 1, 3, 4).flatten(0, 1).contiguous(memory_format=torch.channels_last)
    # With an odd number of rows, the first pair of rows begins one row outside the result.
    odd = [extent % 2 for extent in shape[2:]]
    squares = F.conv2d(gradient, kernel, stride=2, padding=[2 - padding + extra for extra in odd])
    return F.pixel_shuffle(squares, 2)[:, :, odd[0] :, odd[1] :]


def reflect_pad(x: Tensor) -> Tensor:
    """Compute ``F.pad(x, (1, 1, 1, 1), mode="reflect")``.

    PyTorch's own backward pass writes a whole picture of zeros and adds to it; this one adds the border to what is
    inside it.
    """
    result: Tensor = _ReflectPad.apply(x)
    return result


class _ReflectPad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return F.pad(x, (1, 1, 1, 1), mode="reflect")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # In place: nobody else has the padded copy, so nobody else has its gradient.
        for side in (2, 3):
            for border, mirrored in ((0, 2), (-1, -3)):
                gradient.select(side, mirrored).add_(gradient.select(side, border))
        return gradient[:, :, 1:-1, 1:-1]


def max_pool(x: Tensor) -> Tensor:
    """Compute ``F.max_pool2d(x, 2)``.

    PyTorch's backward pass gives each picture of a batch one thread. So for a single picture on a CPU, each pair of
    rows is a picture of a batch here, and all threads work.
    """
    if len(x) > 1 or x.device.type != "cpu":
        return F.max_pool2d(x, 2)
    result: Tensor = _MaxPoolByRows.apply(x)
    return result


class _MaxPoolByRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        _, channels, height, width = ctx.shape = x.shape
        pooled = _empty((1, channels, height // 2, width // 2), x.dtype)
        indices = torch.empty_like(pooled, dtype=torch.int64)
        out = {"out": _rows_as_batch(pooled, 1), "indices": _rows_as_batch(indices, 1)}
        torch.ops.aten.max_pool2d_with_indices.out(_rows_as_batch(x, 2), 2, **out)
        ctx.save_for_backward(indices)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (indices,) = ctx.saved_tensors
        result = _empty(ctx.shape, gradient.dtype)
        result[:, :, result.shape[2] // 2 * 2 :] = 0
        pairs = _rows_as_batch(result, 2)
        torch.ops.aten.max_pool2d_with_indices_backward.grad_input(
            _rows_as_batch(gradient, 1), pairs, 2, 2, 0, 1, False, _rows_as_batch(indices, 1), grad_input=pairs
        )
        return result


def _empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, memory_format=torch.channels_last)


def _rows_as_batch(picture: Tensor, rows: int) -> Tensor:
    """Return a view of [1, C, H, W] as a batch of pictures of ``rows`` rows each, without any rows left over."""
    whole = picture[0, :, : picture.shape[2] // rows * rows]
    batch: Tensor = whole.unflatten(1, (-1, rows))
    return batch.transpose(0, 1)
