"""The feed-forward style network of Johnson et al. 2016 (arXiv 1603.08155), with two later repairs.

Nearest upsampling followed by a convolution in place of transposed convolution (Odena et al. 2016, "Deconvolution and
Checkerboard Artifacts") and instance norm in place of batch norm (Ulyanov et al. 2016, arXiv 1607.08022).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst_core.settings import TransformerSettings


class ConvolutionNorm(nn.Sequential):
    """Reflection padding, convolution, instance norm with learned scale and shift."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReflectionPad2d(kernel // 2),
            nn.Conv2d(channels_in, channels_out, kernel, stride),
            nn.InstanceNorm2d(channels_out, affine=True),
        )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to their input, no ReLU after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = ConvolutionNorm(channels, channels, 3), ConvolutionNorm(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


class TransformerNetwork(nn.Module):
    """Photo to painting in one pass: [N, 3, H, W] to [N, 3, H, W], RGB, sRGB-encoded 0..1.

    Any H and W from ``settings.minimum_size`` up. In training the output may leave 0..1 by up to 0.09, so that its
    gradient never dies; ``eval()`` clamps it.
    """

    def __init__(self, settings: TransformerSettings = TransformerSettings()) -> None:
        super().__init__()
        self.settings = settings
        w = settings.width
        self.down = nn.Sequential(
            ConvolutionNorm(3, w, settings.end_kernel),
            nn.ReLU(),
            ConvolutionNorm(w, 2 * w, 3, stride=2),
            nn.ReLU(),
            ConvolutionNorm(2 * w, 4 * w, 3, stride=2),
            nn.ReLU(),
        )
        self.residual = nn.Sequential(*(ResidualBlock(4 * w) for _ in range(settings.residual_blocks)))
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"),
            ConvolutionNorm(4 * w, 2 * w, 3),
            nn.ReLU(),
            nn.Upsample(scale_factor=2, mode="nearest"),
            ConvolutionNorm(2 * w, w, 3),
            nn.ReLU(),
        )
        self.last = nn.Sequential(nn.ReflectionPad2d(settings.end_kernel // 2), nn.Conv2d(w, 3, settings.end_kernel))

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        x = self.last(self.up(self.residual(self.down((image - 0.5) * 4))))
        # Halving rounds up and doubling does not know, so an odd size comes back up to three pixels larger.
        x = x[..., :height, :width]
        # Johnson's output, tanh * 150 + 127.5 on 0..255, on our scale.
        y = 0.5 + torch.tanh(x) * (150 / 255)
        return y if self.training else y.clamp(0, 1)
