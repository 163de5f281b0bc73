"""The feed-forward style network of Johnson et al. 2016 (arXiv 1603.08155), with three later repairs:

- Upsampling followed by a convolution in place of transposed convolution (Odena et al. 2016, "Deconvolution and
  Checkerboard Artifacts"), bilinear.
- Instance norm in place of batch norm (Ulyanov et al. 2016, arXiv 1607.08022).
- A scale and a shift of that norm for each style (Dumoulin et al. 2016, arXiv 1610.07629), so that one network knows
  several styles and all that lies between them.

What is at full resolution is computed at half of it, in four *phases*: a picture [N, C, 2h, 2w] as [N, 4C, h, w], in
the order of ``pixel_unshuffle`` (Shi et al. 2016, arXiv 1609.05158). Upsampling and the convolution after it are one
linear map, so one convolution from the small picture to the phases of the large one does both, with as many operations
and without ever holding the enlarged channels. The last convolution sees and makes phases too, for runtimes are slow
where few channels come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nst_core.settings import TransformerSettings

# Which pixels each tap of a kernel sees, along one side: [phase of the result, tap, phase of the input, pixel], the
# pixels being those of half resolution around the one that the kernel is centred in.

# A 3x3 kernel on a picture twice as large as the input, which has but one phase. Bilinear upsampling takes each pixel
# from two, 3/4 and 1/4.
UPSAMPLED = torch.tensor(
    [
        [[[0.75, 0.25, 0.0]], [[0.25, 0.75, 0.0]], [[0.0, 0.75, 0.25]]],
        [[[0.25, 0.75, 0.0]], [[0.0, 0.75, 0.25]], [[0.0, 0.25, 0.75]]],
    ]
)


def in_phases(kernel: int) -> Tensor:
    """The same of a kernel of so many taps on a picture that is in phases itself."""
    seen = torch.zeros(2, kernel, 2, 2 * reach(kernel) + 1)
    for phase in range(2):
        for tap in range(kernel):
            pixel, other = divmod(phase + tap - kernel // 2, 2)
            seen[phase, tap, other, pixel + reach(kernel)] = 1
    return seen


def reach(kernel: int) -> int:
    """How many pixels of half resolution such a kernel reaches beyond the one that it is centred in."""
    return (kernel // 2 + 1) // 2


class PhaseConvolution(nn.Conv2d):
    """A convolution whose result is in phases, without padding: [N, rC, h, w] to [N, 4C', h - d + 1, w - d + 1].

    ``seen`` (UPSAMPLED, or of ``in_phases``) has d pixels, and one phase of the input along a side (r is 1) or two (r
    is 4). The weights are those of the convolution at full resolution, C' x C x k x k.
    """

    seen: Tensor

    def __init__(self, channels_in: int, channels_out: int, seen: Tensor) -> None:
        super().__init__(channels_in, channels_out, seen.shape[1])
        self.register_buffer("seen", seen, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel = torch.einsum("oikl,pkrd,qlse->opqirsde", self.weight, self.seen, self.seen)
        return F.conv2d(x, kernel.flatten(3, 5).flatten(0, 2), cast(Tensor, self.bias).repeat_interleave(4))

    def of_phases(self, kernel: Tensor) -> Tensor:
        """The weights for which ``forward`` convolves with ``kernel``."""
        back = torch.linalg.pinv(self.seen.transpose(0, 1).flatten(1).double().T).reshape(-1, *self.seen[:, 0].shape)
        sides = (self.out_channels, 2, 2, self.in_channels, *[self.seen.shape[2]] * 2, *kernel.shape[2:])
        return torch.einsum("opqirsde,kprd,lqse->oikl", kernel.double().reshape(sides), back, back).float()


class ConditionalInstanceNorm(nn.Module):
    """Instance norm whose learned scale and shift are those of the style, or a mixture of several styles'."""

    def __init__(self, channels: int, styles: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(styles, channels))
        self.shift = nn.Parameter(torch.zeros(styles, channels))

    def forward(self, x: Tensor, style_weights: Tensor) -> Tensor:
        """``x`` is [N, C, h, w], or the phases of that, [N, 4C, h / 2, w / 2]."""
        channels = self.scale.shape[1]
        if x.shape[1] != channels:  # all phases of a channel have one mean and one deviation
            return self(x.reshape(len(x), channels, -1, x.shape[-1]), style_weights).reshape(x.shape)
        scale, shift = (style_weights @ table for table in (self.scale, self.shift))
        if len(scale) == 1:  # the norm's own scale and shift: two passes over the picture less
            return F.instance_norm(x, weight=scale[0], bias=shift[0])
        return F.instance_norm(x) * scale[:, :, None, None] + shift[:, :, None, None]


class ConvolutionNorm(nn.Module):
    """Reflection padding by ``margin``, convolution, conditional instance norm."""

    def __init__(self, convolution: nn.Conv2d, margin: int, styles: int) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(margin)
        self.convolution = convolution
        self.norm = ConditionalInstanceNorm(convolution.out_channels, styles)

    def forward(self, x: Tensor, style_weights: Tensor) -> Tensor:
        padded = _Reflected.apply(x, self.pad.padding[0]) if self.training else self.pad(x)
        return self.norm(self.convolution(padded), style_weights)


class _Reflected(torch.autograd.Function):
    """Reflection padding whose way back is in place, in the order that the gradient has."""

    @staticmethod
    def forward(ctx, x: Tensor, margin: int) -> Tensor:
        ctx.margin = margin
        return F.pad(x, (margin,) * 4, mode="reflect")

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        # The convolution made it for this padding alone.
        m = ctx.margin
        for side in (2, 3):
            last = gradient.shape[side] - 1
            for i in range(m):
                gradient.select(side, 2 * m - i).add_(gradient.select(side, i))
                gradient.select(side, last - 2 * m + i).add_(gradient.select(side, last - i))
        return gradient[:, :, m:-m, m:-m], None


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to their input, no ReLU after the sum."""

    def __init__(self, channels: int, styles: int) -> None:
        super().__init__()
        self.first = ConvolutionNorm(nn.Conv2d(channels, channels, 3), 1, styles)
        self.second = ConvolutionNorm(nn.Conv2d(channels, channels, 3), 1, styles)

    def forward(self, x: Tensor, style_weights: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x, style_weights)), style_weights)


class TransformerNetwork(nn.Module):
    """Photo to painting in one pass: [N, 3, H, W] to [N, 3, H, W], RGB, sRGB-encoded 0..1.

    Any H and W from ``settings.minimum_size`` up. In training the output may leave 0..1 by up to 0.09, so that its
    gradient never dies; ``eval()`` clamps it.
    """

    def __init__(self, settings: TransformerSettings = TransformerSettings()) -> None:
        super().__init__()
        self.settings = settings
        w, kernel, styles = settings.width, settings.end_kernel, settings.styles
        self.down = nn.ModuleList(
            [
                ConvolutionNorm(nn.Conv2d(3, w, kernel), kernel // 2, styles),
                ConvolutionNorm(nn.Conv2d(w, 2 * w, 3, stride=2), 1, styles),
                ConvolutionNorm(nn.Conv2d(2 * w, 4 * w, 3, stride=2), 1, styles),
            ]
        )
        self.residual = nn.ModuleList([ResidualBlock(4 * w, styles) for _ in range(settings.residual_blocks)])
        self.up = nn.ModuleList(
            [
                ConvolutionNorm(PhaseConvolution(4 * w, 2 * w, UPSAMPLED), 1, styles),
                # The margin that the last convolution wants is left here already.
                ConvolutionNorm(PhaseConvolution(2 * w, w, UPSAMPLED), 1 + reach(kernel), styles),
            ]
        )
        self.last = PhaseConvolution(w, 3, in_phases(kernel))

    def forward(self, image: Tensor, style_weights: Tensor | None = None) -> Tensor:
        """``style_weights`` is [N or 1, styles], each row summing to 1; without it the first style is painted."""
        height, width = image.shape[-2:]
        if style_weights is None:
            style_weights = torch.eye(1, self.settings.styles, dtype=image.dtype, device=image.device)
        x = (image - 0.5) * 4
        for layer in self.down:
            x = F.relu(layer(x, style_weights))
        for layer in self.residual:
            x = layer(x, style_weights)
        x = F.pixel_shuffle(F.relu(self.up[0](x, style_weights)), 2)
        x = F.relu(self.up[1](x, style_weights))
        x = F.pixel_shuffle(self.last(x), 2)
        # Halving rounds up and doubling does not know, so an odd size comes back up to three pixels larger.
        x = x[..., :height, :width]
        # Johnson's output, tanh * 150 + 127.5 on 0..255, on our scale.
        y = 0.5 + torch.tanh(x) * (150 / 255)
        return y if self.training else y.clamp(0, 1)

    def start_from(self, other: TransformerNetwork, rows: Sequence[int] | None = None) -> None:
        """Take over what ``other``, of the same shape, has learned.

        ``rows`` says for each style which of ``other``'s it begins as. Without it every style begins as the one of the
        same number or, where ``other`` has more or fewer, half-way between all of them. Raises RuntimeError if the
        shapes differ.
        """
        state = other.state_dict()
        for name in (name for name in state if name.endswith(("norm.scale", "norm.shift"))):
            if rows is not None:
                state[name] = state[name][list(rows)]
            elif other.settings.styles != self.settings.styles:
                state[name] = state[name].mean(0, keepdim=True).repeat(self.settings.styles, 1)
        self.load_state_dict(state)
