"""The feed-forward style network of Johnson et al. 2016 (arXiv 1603.08155), with three later repairs:

- Upsampling followed by a convolution in place of transposed convolution (Odena et al. 2016, "Deconvolution and
  Checkerboard Artifacts"), bilinear.
- Instance norm in place of batch norm (Ulyanov et al. 2016, arXiv 1607.08022).
- A scale and a shift of that norm for each style (Dumoulin et al. 2016, arXiv 1610.07629), so that one network knows
  several styles and all that lies between them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst_core.settings import TransformerSettings


class ConditionalInstanceNorm(nn.Module):
    """Instance norm whose learned scale and shift are those of the style, or a mixture of several styles'."""

    def __init__(self, channels: int, styles: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(styles, channels))
        self.shift = nn.Parameter(torch.zeros(styles, channels))

    def forward(self, x: Tensor, style_weights: Tensor) -> Tensor:
        scale, shift = ((style_weights @ table)[:, :, None, None] for table in (self.scale, self.shift))
        return F.instance_norm(x) * scale + shift


class ConvolutionNorm(nn.Module):
    """Reflection padding, convolution, conditional instance norm."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, styles: int, stride: int = 1) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(kernel // 2)
        self.convolution = nn.Conv2d(channels_in, channels_out, kernel, stride)
        self.norm = ConditionalInstanceNorm(channels_out, styles)

    def forward(self, x: Tensor, style_weights: Tensor) -> Tensor:
        return self.norm(self.convolution(self.pad(x)), style_weights)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to their input, no ReLU after the sum."""

    def __init__(self, channels: int, styles: int) -> None:
        super().__init__()
        self.first = ConvolutionNorm(channels, channels, 3, styles)
        self.second = ConvolutionNorm(channels, channels, 3, styles)

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
        w, styles = settings.width, settings.styles
        self.down = nn.ModuleList(
            [
                ConvolutionNorm(3, w, settings.end_kernel, styles),
                ConvolutionNorm(w, 2 * w, 3, styles, stride=2),
                ConvolutionNorm(2 * w, 4 * w, 3, styles, stride=2),
            ]
        )
        self.residual = nn.ModuleList([ResidualBlock(4 * w, styles) for _ in range(settings.residual_blocks)])
        self.up = nn.ModuleList([ConvolutionNorm(4 * w, 2 * w, 3, styles), ConvolutionNorm(2 * w, w, 3, styles)])
        self.last = nn.Sequential(nn.ReflectionPad2d(settings.end_kernel // 2), nn.Conv2d(w, 3, settings.end_kernel))

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
        for layer in self.up:
            x = F.relu(layer(F.interpolate(x, scale_factor=2.0, mode="bilinear"), style_weights))
        x = self.last(x)
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
