"""The network of pytorch/examples' fast_neural_style as its authors build it, to compare an import with."""

import torch
import torch.nn.functional as F
from torch import nn


class ScaleAndShift(nn.Module):
    """The instance norm of the project's first year, before PyTorch had one."""

    def __init__(self, channels):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        count = x.shape[2] * x.shape[3]
        variance = x.flatten(2).var(2, unbiased=True) * (count - 1) / count
        normalised = (x - x.mean((2, 3), keepdim=True)) / (variance[..., None, None] + 1e-9).sqrt()
        return normalised * self.scale[:, None, None] + self.shift[:, None, None]


NORMS = {
    "instance norm": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "tracked statistics": lambda channels: nn.InstanceNorm2d(channels, affine=True, track_running_stats=True),
    "batch norm": nn.BatchNorm2d,
    "scale and shift": ScaleAndShift,
}


class Convolution(nn.Module):
    def __init__(self, into, out, kernel, stride=1, upsample=1):
        super().__init__()
        self.upsample = upsample
        self.pad = nn.ReflectionPad2d(kernel // 2)
        self.conv2d = nn.Conv2d(into, out, kernel, stride)

    def forward(self, x):
        if self.upsample > 1:
            x = F.interpolate(x, scale_factor=float(self.upsample), mode="nearest")
        return self.conv2d(self.pad(x))


class Residual(nn.Module):
    def __init__(self, channels, norm):
        super().__init__()
        self.conv1, self.in1 = Convolution(channels, channels, 3), norm(channels)
        self.conv2, self.in2 = Convolution(channels, channels, 3), norm(channels)

    def forward(self, x):
        return x + self.in2(self.conv2(F.relu(self.in1(self.conv1(x)))))


class TransformerNet(nn.Module):
    def __init__(self, norm, width, blocks):
        super().__init__()
        w = width
        self.conv1, self.in1 = Convolution(3, w, 9), norm(w)
        self.conv2, self.in2 = Convolution(w, 2 * w, 3, stride=2), norm(2 * w)
        self.conv3, self.in3 = Convolution(2 * w, 4 * w, 3, stride=2), norm(4 * w)
        self.blocks = [f"res{number}" for number in range(1, blocks + 1)]
        for name in self.blocks:
            self.add_module(name, Residual(4 * w, norm))
        self.deconv1, self.in4 = Convolution(4 * w, 2 * w, 3, upsample=2), norm(2 * w)
        self.deconv2, self.in5 = Convolution(2 * w, w, 3, upsample=2), norm(w)
        self.deconv3 = Convolution(w, 3, 9)

    def forward(self, x):
        for number in "123":
            x = F.relu(getattr(self, f"in{number}")(getattr(self, f"conv{number}")(x)))
        for name in self.blocks:
            x = getattr(self, name)(x)
        x = F.relu(self.in4(self.deconv1(x)))
        x = F.relu(self.in5(self.deconv2(x)))
        return self.deconv3(x)


def original(kind, picture, width=4, blocks=2):
    """Return a random network with norms of a kind in NORMS, whose answers fill 0..255.

    It has seen darker versions of ``picture`` ([N, 3, H, W] in 0..255) in training mode, so its statistics, if it has
    some, are neither those of a new network nor the picture's own.
    """
    torch.manual_seed(0)
    network = TransformerNet(NORMS[kind], width, blocks)
    with torch.no_grad():
        for name, values in network.named_parameters():
            if ".in" in f".{name}":
                values.add_(torch.randn_like(values) * 0.2)
        network.deconv3.conv2d.weight.mul_(200)
        network.deconv3.conv2d.bias.fill_(127.0)
        for contrast in torch.linspace(0.3, 0.8, 40):
            network.train()(picture * contrast)
    return network.eval()
