"""VGG-19, VGG-16 and slim networks with 1x1 heads, and how they are built from a file's tensors."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.base.objective_settings import POOLINGS
from nst_core.features.convolution_kernels import exact_convolution, max_pool
from nst_core.features.layers import (
    CONVOLUTIONS_PER_BLOCK,
    VGG19_TO_CONV5_1,
    Layer,
    convolutions,
    torchvision_keys,
)
from nst_core.features.network import TORCHVISION, FeatureNetwork, Preprocessing, ReLU, plain_relu

PaddingMode = Literal["zeros", "reflect"]
Weights = Mapping[str, tuple[Tensor, Tensor]]
"""Weight and bias of convolutions by layer: ``{"conv1_1": (weight, bias), ...}``, in order."""


class VGGNetwork(FeatureNetwork):
    """3x3 convolutions in blocks with a pooling between each two, as in VGG.

    Args:
        name: how results refer to it.
        weights: the 3x3 convolutions.
        preprocessing: what it expects of its pixels.
        pooling: ``max`` as trained, or ``average`` (Gatys et al. 2015 found it smoother).
        padding_mode: ``zeros`` (VGG) or ``reflect``.
        heads: 1x1 convolutions by layer: a slim network's map to VGG's channels. With heads, only the layers that have
            one can be requested; where only ``conv1_1`` has one, ``relu1_1`` is its ReLU.
    """

    def __init__(
        self,
        name: str,
        weights: Weights,
        preprocessing: Preprocessing = TORCHVISION,
        pooling: str = "max",
        padding_mode: PaddingMode = "zeros",
        heads: Weights | None = None,
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise StyleError(f"There is no pooling called {pooling!r}; choose from {', '.join(POOLINGS)}.")
        self.name, self.preprocessing, self.pooling = name, preprocessing, pooling
        self.convolutions = nn.ModuleDict({layer: _frozen(*v, padding_mode) for layer, v in weights.items()})
        self.heads = nn.ModuleDict({layer: _frozen(*v, "zeros") for layer, v in (heads or {}).items()})
        # What ``forward`` needs of the layers, as plain strings: torch.compile cannot follow the parsing of names, and
        # between the parts into which it then cuts ``forward`` the gradient of what works in place is lost.
        trunk = [conv for conv, _ in self._trunk()]
        last_of_block = {conv.block: conv for conv in trunk}
        self._steps = [(str(conv), str(conv.relu), conv == last_of_block[conv.block]) for conv in trunk]
        self._convolution_of = {name: step[0] for step in self._steps for name in step[:2]}
        self._depth = {name: depth for depth, step in enumerate(self._steps) for name in step[:2]}
        self._relus = frozenset(relu for _, relu, _ in self._steps)
        self._layers = [
            name
            for name, convolution in self._convolution_of.items()
            if not self.heads or {name, convolution} & self.heads.keys()
        ]

    @property
    def layers(self) -> list[str]:
        """Every layer, or with heads those that have one, in order."""
        return self._layers

    @property
    def distilled(self) -> bool:
        """Whether it has heads, which predict another network's features."""
        return bool(self.heads)

    def bytes_per_pixel(self, layers: Iterable[str]) -> int:
        """Return the most that ``layers`` and their gradient take, as ``FeatureNetwork.bytes_per_pixel``.

        Every convolution and every ReLU up to the deepest layer keeps its float32 result for the backward pass, and
        reflection padding a copy of it. Each requested layer exists once more, less its mean. The largest of all exists
        a few more times as a gradient.
        """
        layers = list(layers)
        self.check(layers)
        requested = {Layer.parse(name).conv: name for name in layers}
        kept = largest = 0.0
        for conv, convolution in self._trunk():
            if conv > max(requested):
                break
            pixels = 0.25 ** (conv.block - 1)
            copies = 3 if convolution.padding_mode == "reflect" else 2
            head = self._head(requested[conv]).out_channels if self.heads and conv in requested else 0
            output_channels = (head or convolution.out_channels) if conv in requested else 0
            kept += (convolution.out_channels * copies + head * 2 + output_channels) * pixels
            largest = max(largest, convolution.out_channels * pixels, head * pixels)
        return round(4 * (kept + 4 * largest))

    def forward(self, image: Tensor, layers: Iterable[str], relu: ReLU | None = None) -> dict[str, Tensor]:
        """Compute the features of ``image``, as ``FeatureNetwork.forward``."""
        relu = relu or plain_relu
        requested = set(layers)
        self.check(requested)
        if not requested:
            return {}
        deepest = max(self._depth[layer] for layer in requested)
        features: dict[str, Tensor] = {}
        # Channels last: a CPU's poolings and ReLUs are faster that way, and its convolutions need no reordered copy.
        x = self.preprocessing(image).contiguous(memory_format=torch.channels_last)
        for depth, (conv, conv_relu, ends_block) in enumerate(self._steps):
            here = [layer for layer in (conv, conv_relu) if layer in requested]
            before = self._convolve(x, cast(nn.Conv2d, self.convolutions[conv]))
            if ends_block and not here and self.pooling == "max":
                # ReLU and maximum pooling may change places, and the ReLU then has a quarter of the work.
                x = F.relu(self._pool(before), inplace=True)
                continue
            if conv in here and not self.heads:
                features[conv] = before
                before = before.clone()  # the ReLU works in place
            own = next((layer for layer in here if self._is_own_relu(layer)), None)
            x = F.relu(before, inplace=True) if own is None else relu(own, before)
            for layer in here:
                if self._is_own_relu(layer):
                    features[layer] = x
                elif layer not in features:
                    output = self._convolve(x, self._head(layer))
                    features[layer] = output if layer in self.heads else relu(layer, output)
            if depth == deepest:
                return features
            if ends_block:
                x = self._pool(x)
        raise AssertionError("check() admits only layers of this network")

    def condensed(self, bare: Collection[str] = ()) -> tuple[VGGNetwork, dict[str, Tensor]]:
        """Return a network with smaller heads, as ``FeatureNetwork.condensed``.

        A head without a ReLU after it is a matrix W, which has its bias as a column. Inner products depend on W'W
        alone, and W'W = R'R if W = QR, so R can take its place.
        """
        linear = [layer for layer in self.heads if str(Layer.parse(layer).relu) in self.heads]
        if not linear:
            return self, {}
        network, matrices = copy.deepcopy(self), dict[str, Tensor]()
        for layer in linear:
            head = self._head(layer)
            affine = torch.cat([head.weight.flatten(1), cast(Tensor, head.bias)[:, None]], 1)
            root = torch.linalg.qr(affine.cpu().double(), mode="r").R.to(affine)
            if layer in bare:
                network.heads[layer], matrices[layer] = nn.Identity(), root[:, :-1]
            else:
                network.heads[layer] = _frozen(root[:, :-1, None, None], root[:, -1], "zeros").to(affine)
        return network, matrices

    def without_heads(self) -> VGGNetwork:
        """Return a network that shares the convolutions and has no heads, so its features are its own activations."""
        weights = {str(layer): (module.weight, cast(Tensor, module.bias)) for layer, module in self._trunk()}
        network = VGGNetwork(self.name, weights, self.preprocessing, self.pooling)
        network.convolutions = self.convolutions
        return network

    def _trunk(self) -> list[tuple[Layer, nn.Conv2d]]:
        return [(Layer.parse(name), cast(nn.Conv2d, module)) for name, module in self.convolutions.items()]

    def _is_own_relu(self, layer: str) -> bool:
        """Return whether the layer's features are the trunk's own ReLU, without a head."""
        if layer in self.heads:
            return isinstance(self.heads[layer], nn.Identity)
        return not self.heads and layer in self._relus

    def _head(self, layer: str) -> nn.Conv2d:
        return cast(nn.Conv2d, self.heads[layer if layer in self.heads else self._convolution_of[layer]])

    def _convolve(self, x: Tensor, convolution: nn.Conv2d) -> Tensor:
        device_type, border = x.device.type, convolution.kernel_size[0] // 2
        weight, bias = convolution.weight, cast(Tensor, convolution.bias)
        if border and convolution.padding_mode == "reflect":
            x, border = F.pad(x, (border,) * 4, mode="reflect"), 0
        if self.exact and torch.is_autocast_enabled(device_type):
            return exact_convolution(x, weight, bias, border, torch.get_autocast_dtype(device_type))
        return F.conv2d(x, weight, bias, padding=border)

    def _pool(self, x: Tensor) -> Tensor:
        return max_pool(x) if self.pooling == "max" else F.avg_pool2d(x, 2)


def _frozen(weight: Tensor, bias: Tensor, padding_mode: PaddingMode) -> nn.Conv2d:
    out_channels, in_channels, size, _ = weight.shape
    conv = nn.Conv2d(in_channels, out_channels, size, padding=size // 2, padding_mode=padding_mode)
    conv.weight, conv.bias = (nn.Parameter(v.float(), requires_grad=False) for v in (weight, bias))
    return conv.to(memory_format=torch.channels_last)


def build_vgg(
    name: str,
    state: Mapping[str, Tensor],
    kind: str,
    preprocessing: Preprocessing = TORCHVISION,
    pooling: str = "max",
) -> VGGNetwork:
    """Build a VGG from a state dict with torchvision's keys (``features.0.weight`` …).

    ``kind`` is a key of CONVOLUTIONS_PER_BLOCK. If the deep end is missing, the network has fewer layers.
    Raises StyleError if the tensors are not those of this network.
    """
    weights: dict[str, tuple[Tensor, Tensor]] = {}
    channels_in = 3
    for layer, key in torchvision_keys(CONVOLUTIONS_PER_BLOCK[kind]).items():
        channels = 64 * 2 ** min(layer.block - 1, 3)
        weight, bias = state.get(f"{key}.weight"), state.get(f"{key}.bias")
        if weight is None or bias is None:
            break
        expected = (channels, channels_in, 3, 3)
        if tuple(weight.shape) != expected:
            raise StyleError(
                _(
                    "{name} holds weights of another network: {key}.weight is {shape} where {kind} has {expected}."
                ).format(name=name, key=key, shape=tuple(weight.shape), kind=kind, expected=expected)
            )
        weights[str(layer)] = (weight, bias)
        channels_in = channels
    if not weights:
        raise StyleError(
            _("{name} holds no {kind} weights: features.0.weight is missing.").format(name=name, kind=kind)
        )
    return VGGNetwork(name, weights, preprocessing, pooling)


def build_slim(name: str, state: Mapping[str, Tensor], pooling: str = "max") -> VGGNetwork:
    """Build a slim VGG-19 in the layout of Wang et al. 2020 (arXiv 2003.08436): conv0, conv11 … conv51, 1x1 heads.

    ``conv11_aux`` maps to VGG-19's normalised relu1_1 after a ReLU. Raises StyleError if a part is missing.
    """
    weights, heads = {}, {}
    try:
        for layer in convolutions(CONVOLUTIONS_PER_BLOCK["vgg19"]):
            key = f"conv{layer.block}{layer.number}"
            if f"{key}.weight" not in state:
                continue
            weights[str(layer)] = (state[f"{key}.weight"], state[f"{key}.bias"])
            if f"{key}_aux.weight" in state:
                heads[str(layer)] = (state[f"{key}_aux.weight"], state[f"{key}_aux.bias"])
        first = state["conv0.weight"], state["conv0.bias"]
        preprocessing, weights["conv1_1"] = _merge_pixel_convolution(*first, *weights["conv1_1"])
    except KeyError as missing:
        raise StyleError(
            _("{name} is not a complete slim VGG-19: {missing} is missing.").format(name=name, missing=missing)
        ) from missing
    return VGGNetwork(name, weights, preprocessing, pooling, "reflect", heads)


def _merge_pixel_convolution(
    first: Tensor, first_bias: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Preprocessing, tuple[Tensor, Tensor]]:
    """Merge a 1x1 convolution of RGB with a reflect-padded one after it: a preprocessing and one convolution.

    As much of the first bias as possible becomes a mean that is subtracted: as a bias of the second convolution it
    would lose float32 digits.
    """
    matrix, offset, wide = first.double()[:, :, 0, 0], first_bias.double(), weight.double()
    mean = torch.linalg.pinv(matrix) @ -offset
    rest = wide.sum((2, 3)) @ (offset + matrix @ mean)
    red, green, blue = mean.tolist()
    return Preprocessing(1.0, (red, green, blue), (1.0, 1.0, 1.0), bgr=False), (
        torch.einsum("oikl,ij->ojkl", wide, matrix).to(weight),
        (bias.double() + rest).to(bias),
    )


def build_compact(name: str, state: Mapping[str, Tensor], pooling: str = "max") -> VGGNetwork:
    """Build a slim VGG-19 in our own layout (see distillation.py).

    It has conv1_1 … conv5_1, and 1x1 heads head_conv1_1, head_relu1_1 … head_relu5_1.
    Raises StyleError if a part is missing.
    """
    weights, heads = {}, {}
    try:
        for layer in convolutions(VGG19_TO_CONV5_1):
            weights[str(layer)] = (state[f"{layer}.weight"], state[f"{layer}.bias"])
            if layer == layer.first_of_block:
                for head in (layer, layer.relu):
                    heads[str(head)] = (state[f"head_{head}.weight"], state[f"head_{head}.bias"])
    except KeyError as missing:
        raise StyleError(
            _("{name} is not a complete compact network: {missing} is missing.").format(name=name, missing=missing)
        ) from missing
    return VGGNetwork(name, weights, TORCHVISION, pooling, heads=heads)
