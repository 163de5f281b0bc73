"""The fast-style networks of two other projects, as PyTorch modules built from the tensors in their files.

Widths, kernel sizes and the number of residual blocks follow from the tensors. Both networks take RGB in 0..255, [N, 3,
H, W], and return the same, with H and W rounded up to the next multiple of four.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class UnitRangeNetwork(nn.Module):
    """A network for 0..255 as a style file needs it: 0..1 in and out, the output as large as the photo."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Paint ``image``, [N, 3, H, W] in 0..1."""
        height, width = image.shape[-2:]
        painting: Tensor = self.network(image * 255)
        return (painting[..., :height, :width] / 255).clamp(0, 1)


# ---- pytorch/examples, fast_neural_style ------------------------------------------------------------------------


class PyTorchNetwork(nn.Module):
    """The network of pytorch/examples' fast_neural_style: Johnson's, with nearest upsampling before a convolution.

    If ``deconv1`` or ``deconv2`` has the shape [in, out, k, k], it is a transposed convolution instead, as in some
    relatives. There is no tanh at the end. The modules have the names of the keys of ``state``, and compute what the
    original computes after ``eval()``. Raises KeyError if a tensor is missing, ValueError or RuntimeError if the
    tensors do not fit together.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.blocks = len({key.partition(".")[0] for key in state if key.startswith("res")})

        def convolution(name: str, stride: int = 1) -> _ReflectedConvolution:
            return _ReflectedConvolution(state[f"{name}.conv2d.weight"], stride)

        def norm(name: str) -> nn.Module:
            return _norm_like(state, name)

        self.conv1, self.in1 = convolution("conv1"), norm("in1")
        self.conv2, self.in2 = convolution("conv2", stride=2), norm("in2")
        self.conv3, self.in3 = convolution("conv3", stride=2), norm("in3")
        for number in range(1, self.blocks + 1):
            name = f"res{number}"
            first = convolution(f"{name}.conv1"), norm(f"{name}.in1")
            second = convolution(f"{name}.conv2"), norm(f"{name}.in2")
            self.add_module(name, _ForeignResidualBlock(*first, *second))
        channels = len(state["conv3.conv2d.weight"])
        self.deconv1, self.in4 = _upsampling(state["deconv1.conv2d.weight"], channels), norm("in4")
        channels = len(state["deconv1.conv2d.bias"])
        self.deconv2, self.in5 = _upsampling(state["deconv2.conv2d.weight"], channels), norm("in5")
        self.deconv3 = convolution("deconv3")
        self.load_state_dict(state)

    @property
    def layout(self) -> str:
        """The network's kind, in words."""
        transposed = isinstance(self.deconv1, _TransposedConvolution)
        return f"PyTorch's fast_neural_style{' with transposed convolutions' if transposed else ''}"

    def forward(self, image: Tensor) -> Tensor:
        """Paint ``image``, [N, 3, H, W] in 0..255."""
        x = F.relu(self.in1(self.conv1(image)))
        x = F.relu(self.in2(self.conv2(x)))
        x = F.relu(self.in3(self.conv3(x)))
        for number in range(1, self.blocks + 1):
            x = self.get_submodule(f"res{number}")(x)
        x = F.relu(self.in4(self.deconv1(x)))
        x = F.relu(self.in5(self.deconv2(x)))
        painting: Tensor = self.deconv3(x)
        return painting


class _ReflectedConvolution(nn.Module):
    def __init__(self, weight: Tensor, stride: int = 1) -> None:
        super().__init__()
        channels_out, channels_in, kernel, _ = weight.shape
        self.conv2d = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2d(x)
        return y


class _ScaledNorm(nn.Module):
    """The instance norm that pytorch/examples had before PyTorch had one: other names, another epsilon."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.instance_norm(x, weight=self.scale, bias=self.shift, eps=1e-9)


def _norm_like(state: Mapping[str, Tensor], name: str) -> nn.Module:
    """Return a norm that has the tensors of ``state`` under ``name``.

    A norm that counts its batches uses its statistics in ``eval()`` in place of the picture's, as a batch norm does.
    """
    if f"{name}.scale" in state:
        return _ScaledNorm(len(state[f"{name}.scale"]))
    channels = len(state[f"{name}.weight"])
    if f"{name}.num_batches_tracked" in state:
        return nn.BatchNorm2d(channels)
    return nn.InstanceNorm2d(channels, affine=True)


class _ForeignResidualBlock(nn.Module):
    def __init__(self, conv1: nn.Module, in1: nn.Module, conv2: nn.Module, in2: nn.Module) -> None:
        super().__init__()
        self.conv1, self.in1, self.conv2, self.in2 = conv1, in1, conv2, in2

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.in2(self.conv2(F.relu(self.in1(self.conv1(x)))))
        return x + y


class _UpsampledConvolution(_ReflectedConvolution):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2d(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return y


class _TransposedConvolution(nn.Module):
    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        channels_in, channels_out, kernel, _ = weight.shape
        # This padding makes the output exactly twice as large.
        self.conv2d = nn.ConvTranspose2d(channels_in, channels_out, kernel, 2, (kernel - 1) // 2, kernel % 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2d(x)
        return y


def _upsampling(weight: Tensor, channels_in: int) -> _UpsampledConvolution | _TransposedConvolution:
    return _UpsampledConvolution(weight) if weight.shape[1] == channels_in else _TransposedConvolution(weight)


# ---- lengstrom/fast-style-transfer ------------------------------------------------------------------------------


class TensorFlowNetwork(nn.Module):
    """The network of lengstrom/fast-style-transfer, with TensorFlow's padding "SAME" throughout.

    Args:
        variables: in the order of their creation: a kernel, the norm's shift and its scale for every convolution. The
            convolutions are three that go down, two for each residual block, two transposed ones that go up, and a
            last one. A kernel is [height, width, in, out], a transposed one [height, width, out, in]. None stands for
            a missing variable.

    Raises ValueError or RuntimeError if a variable is missing or they do not fit together.
    """

    layout = "TensorFlow's fast-style-transfer"

    def __init__(self, variables: Sequence[Tensor | None]) -> None:
        super().__init__()
        present = [variable for variable in variables if variable is not None]
        if len(present) < len(variables):
            raise ValueError(f"variable {variables.index(None)} of {len(variables)} is missing")
        if len(present) < 18 or len(present) % 6:
            raise ValueError(f"it has {len(present)} variables, not three a convolution: 18, and 6 more for each block")
        for number, kernel in enumerate(present[::3]):
            if kernel.ndim != 4 or kernel.shape[0] != kernel.shape[1] or kernel.shape[0] < 3:
                raise ValueError(f"variable {3 * number} is {list(kernel.shape)} and no kernel of 3x3 or more")
        first, second, third, *residual, up1, up2, last = zip(present[::3], present[1::3], present[2::3], strict=True)
        self.down = nn.ModuleList(
            (_SameConvolution(*first), _SameConvolution(*second, stride=2), _SameConvolution(*third, stride=2))
        )
        self.residual = nn.ModuleList(_SameConvolution(*layer) for layer in residual)
        self.up = nn.ModuleList((_SameTransposedConvolution(*up1), _SameTransposedConvolution(*up2)))
        self.last = _SameConvolution(*last)

    def forward(self, image: Tensor) -> Tensor:
        """Paint ``image``, [N, 3, H, W] in 0..255."""
        x = image
        for layer in self.down:
            x = F.relu(layer(x))
        for first, second in zip(self.residual[::2], self.residual[1::2], strict=True):
            x = x + second(F.relu(first(x)))
        for layer in self.up:
            x = F.relu(layer(x))
        return torch.tanh(self.last(x)) * 150 + 255 / 2


class _SameConvolution(nn.Module):
    def __init__(self, kernel: Tensor, shift: Tensor, scale: Tensor, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.kernel = stride, kernel.shape[0]
        self.weight = nn.Parameter(kernel.permute(3, 2, 0, 1).contiguous())
        self.norm = _norm(self.weight.shape[0], shift, scale)

    def forward(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = (_same_padding(extent, self.kernel, self.stride) for extent in x.shape[-2:])
        padded = F.pad(x, (left, right, top, bottom))
        y: Tensor = self.norm(F.conv2d(padded, self.weight, stride=self.stride))
        return y


class _SameTransposedConvolution(nn.Module):
    def __init__(self, kernel: Tensor, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(kernel.permute(3, 2, 0, 1).contiguous())
        self.norm = _norm(self.weight.shape[1], shift, scale)

    def forward(self, x: Tensor) -> Tensor:
        # This is the transpose of a convolution with stride 2 over an even size; it crops what that one pads.
        height, width = (2 * extent for extent in x.shape[-2:])
        first = (self.weight.shape[-1] - 2) // 2
        full = F.conv_transpose2d(x, self.weight, stride=2)
        y: Tensor = self.norm(full[..., first : first + height, first : first + width])
        return y


def _same_padding(extent: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after, as TensorFlow's documentation of ``tf.nn.convolution`` defines "SAME".

    For strides 1 and 2. The output has ceil(extent / stride) pixels, and an odd zero goes to the end. ``kernel`` is at
    least ``stride``.
    """
    padding = kernel - 1 if stride == 1 else kernel - 2 + extent % 2
    return padding // 2, padding - padding // 2


def _norm(channels: int, shift: Tensor, scale: Tensor) -> nn.InstanceNorm2d:
    norm = nn.InstanceNorm2d(channels, eps=1e-3, affine=True)
    norm.load_state_dict({"weight": scale, "bias": shift})
    return norm
