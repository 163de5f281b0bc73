"""The transformer network of Johnson et al. 2016 (arXiv 1603.08155), with three later improvements.

- Bilinear upsampling followed by a convolution replaces transposed convolution (Odena et al. 2016, "Deconvolution and
  Checkerboard Artifacts").
- Instance norm replaces batch norm (Ulyanov et al. 2016, arXiv 1607.08022).
- The norm has a row of scales and shifts for each style (Dumoulin et al. 2016, arXiv 1610.07629), or two for each, a
  faithful one and a bold one. So one network knows several styles and every mixture of them.

The layers at full resolution run at half of it, on four *phases*: a picture [N, C, 2h, 2w] as [N, 4C, h, w], in the
order of ``pixel_unshuffle`` (Shi et al. 2016, arXiv 1609.05158). Upsampling and the convolution after it are one linear
map, so one convolution from the small picture to the phases of the large one does both, with as many operations and
without ever holding the enlarged channels. The last convolution reads and writes phases too, because runtimes are slow
at convolutions with few output channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst_core.base.training_settings import TransformerSettings

# A tap table says which pixels each tap of a kernel reads, along one side: [phase of the output, tap, phase of the
# input, pixel]. The pixels are those of half resolution around the kernel's centre.

# For a 3x3 kernel on a bilinearly upsampled picture. The input has one phase, and each upsampled pixel is 3/4 of one
# input pixel and 1/4 of another.
UPSAMPLED_TAPS = torch.tensor(
    [
        [[[0.75, 0.25, 0.0]], [[0.25, 0.75, 0.0]], [[0.0, 0.75, 0.25]]],
        [[[0.25, 0.75, 0.0]], [[0.0, 0.75, 0.25]], [[0.0, 0.25, 0.75]]],
    ]
)


def phase_taps(kernel: int) -> Tensor:
    """Return the tap table of a kernel with ``kernel`` taps a side, on a picture in phases."""
    taps = torch.zeros(2, kernel, 2, 2 * reach(kernel) + 1)
    for phase in range(2):
        for tap in range(kernel):
            pixel, input_phase = divmod(phase + tap - kernel // 2, 2)
            taps[phase, tap, input_phase, pixel + reach(kernel)] = 1
    return taps


def reach(kernel: int) -> int:
    """Return how far a kernel on a picture in phases reaches beyond its centre, in pixels of half resolution."""
    return (kernel // 2 + 1) // 2


class PhaseConvolution(nn.Conv2d):
    """A convolution whose output is in phases, without padding: [N, rC, h, w] to [N, 4C', h - d + 1, w - d + 1].

    ``taps`` (UPSAMPLED_TAPS or from ``phase_taps``) has d pixels, and one input phase along a side (r is 1) or two (r
    is 4). The weights are those of the convolution at full resolution, C' x C x k x k.
    """

    taps: Tensor

    def __init__(self, channels_in: int, channels_out: int, taps: Tensor) -> None:
        super().__init__(channels_in, channels_out, taps.shape[1])
        self.register_buffer("taps", taps, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x``, [N, rC, h, w]."""
        kernel = torch.einsum("oikl,pkrd,qlse->opqirsde", self.weight, self.taps, self.taps)
        return F.conv2d(x, kernel.flatten(3, 5).flatten(0, 2), cast(Tensor, self.bias).repeat_interleave(4))

    def weight_for(self, phase_kernel: Tensor) -> Tensor:
        """Return the weight with which ``forward`` convolves by ``phase_kernel``, [4C', rC, d, d]."""
        inverse = torch.linalg.pinv(self.taps.transpose(0, 1).flatten(1).double().T)
        inverse = inverse.reshape(-1, *self.taps[:, 0].shape)
        sides = (self.out_channels, 2, 2, self.in_channels, *[self.taps.shape[2]] * 2, *phase_kernel.shape[2:])
        kernel = phase_kernel.double().reshape(sides)
        return torch.einsum("opqirsde,kprd,lqse->oikl", kernel, inverse, inverse).float()


class ConditionalInstanceNorm(nn.Module):
    """Instance norm with rows of learned scales and shifts; a mixture of styles mixes their rows."""

    def __init__(self, channels: int, rows: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(rows, channels))
        self.shift = nn.Parameter(torch.zeros(rows, channels))

    def forward(self, x: Tensor, style_weights: Tensor) -> Tensor:
        """Normalise ``x``, [N, C, h, w] or in phases [N, 4C, h / 2, w / 2], by ``style_weights``, [N or 1, rows]."""
        channels = self.scale.shape[1]
        if x.shape[1] != channels:  # all phases of a channel share its mean and deviation
            y: Tensor = self(x.reshape(len(x), channels, -1, x.shape[-1]), style_weights)
            return y.reshape(x.shape)
        scale, shift = (style_weights @ table for table in (self.scale, self.shift))
        if len(scale) == 1:  # instance_norm's own scale and shift save two passes over the picture
            return F.instance_norm(x, weight=scale[0], bias=shift[0])
        return F.instance_norm(x) * scale[:, :, None, None] + shift[:, :, None, None]


class ConvolutionNorm(nn.Module):
    """Reflection padding by ``margin``, convolution, conditional instance norm."""

    def __init__(self, convolution: nn.Conv2d, margin: int, rows: int) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(margin)
        self.convolution = convolution
        self.norm = ConditionalInstanceNorm(convolution.out_channels, rows)

    def forward(self, x: Tensor, style_weights: Tensor) -> Tensor:
        """Convolve and normalise ``x``, [N, C, h, w], by ``style_weights``, [N or 1, rows]."""
        y: Tensor = self.norm(self.convolution(self.pad(x)), style_weights)
        return y


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to their input, no ReLU after the sum."""

    def __init__(self, channels: int, rows: int) -> None:
        super().__init__()
        self.first = ConvolutionNorm(nn.Conv2d(channels, channels, 3), 1, rows)
        self.second = ConvolutionNorm(nn.Conv2d(channels, channels, 3), 1, rows)

    def forward(self, x: Tensor, style_weights: Tensor) -> Tensor:
        """Add the block's output to ``x``, [N, C, h, w]."""
        y: Tensor = self.second(F.relu(self.first(x, style_weights)), style_weights)
        return x + y


class TransformerNetwork(nn.Module):
    """A network that paints photos in one pass: [N, 3, H, W] to [N, 3, H, W], RGB, sRGB-encoded 0..1.

    H and W are ``settings.minimum_size`` or more. In training the output may leave 0..1 by up to 0.09, so its gradient
    never vanishes; ``eval()`` clamps it.
    """

    def __init__(self, settings: TransformerSettings = TransformerSettings()) -> None:
        super().__init__()
        self.settings = settings
        w, kernel, rows = settings.width, settings.end_kernel, settings.rows
        self.down = nn.ModuleList(
            [
                ConvolutionNorm(nn.Conv2d(3, w, kernel), kernel // 2, rows),
                ConvolutionNorm(nn.Conv2d(w, 2 * w, 3, stride=2), 1, rows),
                ConvolutionNorm(nn.Conv2d(2 * w, 4 * w, 3, stride=2), 1, rows),
            ]
        )
        self.residual = nn.ModuleList([ResidualBlock(4 * w, rows) for _ in range(settings.residual_blocks)])
        self.up = nn.ModuleList(
            [
                ConvolutionNorm(PhaseConvolution(4 * w, 2 * w, UPSAMPLED_TAPS), 1, rows),
                # This padding includes the margin of the last convolution.
                ConvolutionNorm(PhaseConvolution(2 * w, w, UPSAMPLED_TAPS), 1 + reach(kernel), rows),
            ]
        )
        self.last = PhaseConvolution(w, 3, phase_taps(kernel))

    def forward(self, image: Tensor, style_weights: Tensor | None = None) -> Tensor:
        """Paint ``image`` by a mixture of rows: ``style_weights``, [N or 1, rows], sum to 1; None is the first row."""
        height, width = image.shape[-2:]
        if style_weights is None:
            style_weights = torch.eye(1, self.settings.rows, dtype=image.dtype, device=image.device)
        x = (image - 0.5) * 4
        for layer in self.down:
            x = F.relu(layer(x, style_weights))
        for layer in self.residual:
            x = layer(x, style_weights)
        x = F.pixel_shuffle(F.relu(self.up[0](x, style_weights)), 2)
        x = F.relu(self.up[1](x, style_weights))
        x = F.pixel_shuffle(self.last(x), 2)
        # Halving rounds up, so an odd size comes back up to three pixels larger.
        x = x[..., :height, :width]
        # Johnson's output, tanh * 150 + 127.5 on 0..255, on our scale.
        y = 0.5 + torch.tanh(x) * (150 / 255)
        return y if self.training else y.clamp(0, 1)

    def start_from(self, other: TransformerNetwork, styles: Sequence[int] | None = None) -> None:
        """Copy the weights of ``other``, which has the same shape but perhaps other numbers of styles and rows.

        ``styles`` names, for each style, the style of ``other`` that it begins as. Without it each begins as the one
        with the same number or, if the numbers of styles differ, as the mean of all. If the numbers of rows for each
        style differ, every row begins as the bold one, which is the last. Raises RuntimeError if the shapes differ.
        """
        state = other.state_dict()
        for name in filter(is_row_parameter, state):
            table = state[name].unflatten(0, (-1, other.settings.rows_per_style))
            if styles is not None:
                table = table[list(styles)]
            elif other.settings.styles != self.settings.styles:
                table = table.mean(0, keepdim=True).repeat(self.settings.styles, 1, 1)
            if other.settings.rows_per_style != self.settings.rows_per_style:
                table = table[:, -1:].repeat(1, self.settings.rows_per_style, 1)
            state[name] = table.flatten(0, 1)
        self.load_state_dict(state)


def is_row_parameter(name: str) -> bool:
    """Return whether a parameter of this name belongs to the rows of the norms, [rows, C]."""
    return name.endswith(("norm.scale", "norm.shift"))


@torch.no_grad()
def paint_every_row(network: TransformerNetwork, photos: Tensor) -> Tensor:
    """Paint ``photos`` ([N, 3, h, w]) by each row, in evaluation mode: [rows, N, 3, h, w] in 0..1.

    The network stays in the mode that it was in.
    """
    training = network.training
    network.eval()
    choices = torch.eye(network.settings.rows, device=photos.device).split(1)
    paintings = [network(photos, choice) for choice in choices]
    network.train(training)
    return torch.stack(paintings)
