"""Feature networks: VGG-19, VGG-16 and slim networks with 1x1 heads, as named layers.

A layer is called ``conv4_1`` before its ReLU and ``relu4_1`` after it (Simonyan and Zisserman 2014,
arXiv 1409.1556; the numbering is that of Gatys et al. 2015, arXiv 1508.06576).
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.base.objective_settings import POOLINGS

CONVOLUTIONS_PER_BLOCK = {"vgg19": (2, 2, 4, 4, 4), "vgg16": (2, 2, 3, 3, 3)}

# Per-channel mean and deviation of ImageNet in RGB 0..1, which torchvision's networks expect.
TORCHVISION_MEAN, TORCHVISION_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The first VGG release: BGR, 0..255, this mean subtracted (given here in RGB order).
CAFFE_MEAN = (123.68, 116.779, 103.939)


# Of a layer's name and what is before its ReLU, which may be overwritten, makes what is behind it.
ReLU = Callable[[str, Tensor], Tensor]


def plain_relu(layer: str, before: Tensor) -> Tensor:
    """PyTorch's ReLU of ``before``, in place, whatever the layer."""
    return F.relu(before, inplace=True)


@dataclass(frozen=True)
class Preprocessing:
    """How a network wants its pixels: ``(rgb * scale - mean) / std``, channels reversed if ``bgr``."""

    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool

    def __call__(self, rgb: Tensor) -> Tensor:
        factor = _by_channel([self.scale / std for std in self.std], rgb)
        offset = _by_channel([-mean / std for mean, std in zip(self.mean, self.std, strict=True)], rgb)
        out = torch.addcmul(offset, rgb, factor)
        return out.flip(1) if self.bgr else out


def _by_channel(values: Sequence[float], like: Tensor) -> Tensor:
    """[1, 3, 1, 1], made where ``like`` is: for a copy to a GPU, it would have to finish all other work first."""
    return torch.stack([like.new_full((), value) for value in values]).view(1, 3, 1, 1)


TORCHVISION = Preprocessing(1.0, TORCHVISION_MEAN, TORCHVISION_STD, bgr=False)
CAFFE = Preprocessing(255.0, CAFFE_MEAN, (1.0, 1.0, 1.0), bgr=True)
# The same network as MatConvNet keeps it: the first filters' channels turned round, for RGB.
MATCONVNET = Preprocessing(255.0, CAFFE_MEAN, (1.0, 1.0, 1.0), bgr=False)


class FeatureNetwork(nn.Module, ABC):
    """A frozen network that answers with the activations of the layers asked for.

    Attributes:
        name: what results call it (``vgg19``, or the name of a weights file).
        exact: whether its features are float32 under autocast too, and only their gradient is rounded.
    """

    name: str
    exact: bool = False

    @property
    @abstractmethod
    def layers(self) -> list[str]:
        """Every layer that can be asked for, in order: ``conv1_1``, ``relu1_1``, ``conv1_2`` ..."""

    @property
    @abstractmethod
    def distilled(self) -> bool:
        """Whether it predicts another network's features, its first layers at least, instead of having its own."""

    @abstractmethod
    def bytes_per_pixel(self, layers: Iterable[str]) -> int:
        """Memory that ``layers`` of one picture and their gradient take, per input pixel.

        Raises StyleError for a layer that is not to be had here.
        """

    @abstractmethod
    def forward(self, image: Tensor, layers: Iterable[str], relu: ReLU | None = None) -> dict[str, Tensor]:
        """Features of ``image`` ([N, 3, H, W], RGB, sRGB-encoded 0..1) by layer: [N, C, h, w] each.

        ``relu`` makes those of ``layers`` that a ReLU's result is, in place of PyTorch's ReLU.
        Raises StyleError for a layer that is not to be had here.
        """

    def condensed(self, bare: Collection[str] = ()) -> tuple[FeatureNetwork, dict[str, Tensor]]:
        """A network of the same layers whose features have the same inner products, in fewer channels where it can.

        So it has the same distances between features, and between their Gram matrices; not the same channels. Where it
        can, it leaves out the last step of the layers in ``bare``: a multiplication with a matrix, [D, C] by layer,
        which comes with it, and an addition.
        """
        return self, {}

    def check(self, layers: Iterable[str]) -> None:
        """Raise StyleError, naming the valid layers, if one of ``layers`` is not to be had here."""
        valid = self.layers
        for layer in layers:
            if layer not in valid:
                relus = ", ".join(name for name in valid if name.startswith("relu"))
                raise StyleError(
                    _(
                        "The feature network {name} has no layer {layer!r}; it has {relus} (and the same names with "
                        "conv, before the ReLU)."
                    ).format(name=self.name, layer=layer, relus=relus)
                )


class _FrozenConvolution(torch.autograd.Function):
    """A convolution by a kernel that takes no gradient.

    With ``dtype``, under autocast, the result is computed in float32 all the same, the gradient in ``dtype``.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, padding: int, dtype: torch.dtype | None = None) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.shape, ctx.padding, ctx.dtype = x.shape, padding, dtype
        if dtype is None:
            return F.conv2d(x, weight, bias, padding=padding)
        with torch.autocast(x.device.type, enabled=False):
            return F.conv2d(x.float(), weight, bias, padding=padding)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (weight,) = ctx.saved_tensors
        gradient = gradient.to(ctx.dtype or gradient.dtype)
        weight = weight.to(gradient.dtype)
        if _is_thin(weight):
            return _thin_conv2d_input(ctx.shape, weight, gradient, ctx.padding), None, None, None, None
        return conv2d_input(ctx.shape, weight, gradient, padding=ctx.padding), None, None, None, None


def _is_thin(weight: Tensor) -> bool:
    """Whether it makes many channels of a picture's three, on a processor: VGG's conv1_1."""
    return weight.device.type == "cpu" and weight.shape[0] >= 64 and weight.shape[1:] == (3, 3, 3)


def _thin_conv2d_input(shape: torch.Size, weight: Tensor, gradient: Tensor, padding: int) -> Tensor:
    """``conv2d_input`` for three channels of input, which leave a processor's vectors nearly empty.

    Two by two pixels of the result are worked out together, as if they were channels: from 4x4 values of the gradient.
    """
    turned = weight.flip(2, 3)
    pixels = [F.pad(turned, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
    kernel = torch.stack(pixels).permute(2, 0, 1, 3, 4).flatten(0, 1).contiguous(memory_format=torch.channels_last)
    # Of an odd number of rows the first two begin a row outside the result.
    odd = [extent % 2 for extent in shape[2:]]
    fours = F.conv2d(gradient, kernel, stride=2, padding=[2 - padding + more for more in odd])
    return F.pixel_shuffle(fours, 2)[:, :, odd[0] :, odd[1] :]


class _Reflected(torch.autograd.Function):
    """``F.pad(x, (1, 1, 1, 1), mode="reflect")``, whose own way back writes a whole picture of zeros and adds to it."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return F.pad(x, (1, 1, 1, 1), mode="reflect")

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> Tensor:
        # In place: it is of a copy that nobody else has, so the gradient is nobody else's either.
        for side in (2, 3):
            for border, mirrored in ((0, 2), (-1, -3)):
                gradient.select(side, mirrored).add_(gradient.select(side, border))
        return gradient[:, :, 1:-1, 1:-1]


class _MaxPool(torch.autograd.Function):
    """``F.max_pool2d(x, 2)`` of one picture, whose own way back is the work of a single thread.

    That has a thread for each picture of a batch, so the pairs of rows are one here.
    """

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        _, channels, height, width = ctx.shape = x.shape
        found = _empty((1, channels, height // 2, width // 2), x.dtype)
        indices = torch.empty_like(found, dtype=torch.int64)
        out = {"out": _in_batch(found, 1), "indices": _in_batch(indices, 1)}
        torch.ops.aten.max_pool2d_with_indices.out(_in_batch(x, 2), 2, **out)
        ctx.save_for_backward(indices)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> Tensor:
        (indices,) = ctx.saved_tensors
        found = _empty(ctx.shape, gradient.dtype)
        found[:, :, found.shape[2] // 2 * 2 :] = 0
        pairs = _in_batch(found, 2)
        torch.ops.aten.max_pool2d_with_indices_backward.grad_input(
            _in_batch(gradient, 1), pairs, 2, 2, 0, 1, False, _in_batch(indices, 1), grad_input=pairs
        )
        return found


def _empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, memory_format=torch.channels_last)


def _in_batch(picture: Tensor, rows: int) -> Tensor:
    """Views of these many rows of [1, C, H, W] each, as pictures of a batch; without what is left over."""
    whole = picture[0, :, : picture.shape[2] // rows * rows]
    return whole.unflatten(1, (-1, rows)).transpose(0, 1)


class VGGNetwork(FeatureNetwork):
    """3x3 convolutions in blocks with a pooling between two, as in VGG.

    Args:
        name: what results call it.
        convolutions: ``{"conv1_1": (weight, bias), ...}`` in order, 3x3.
        preprocessing: applied to RGB 0..1 first.
        pooling: ``max`` as trained, or ``average`` (Gatys et al. 2015 found it smoother).
        padding_mode: ``zeros`` (VGG) or ``reflect``.
        heads: 1x1 convolutions by layer, ``{"conv1_1": (weight, bias), "relu1_1": ...}``: a slim network's map to
            VGG's channels. With heads, only the layers that have one can be asked for; where only ``conv1_1`` has one,
            its ReLU is ``relu1_1``.
    """

    def __init__(
        self,
        name: str,
        convolutions: Mapping[str, tuple[Tensor, Tensor]],
        preprocessing: Preprocessing = TORCHVISION,
        pooling: str = "max",
        padding_mode: Literal["zeros", "reflect"] = "zeros",
        heads: Mapping[str, tuple[Tensor, Tensor]] | None = None,
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise StyleError(f"There is no pooling called {pooling!r}; choose from {', '.join(POOLINGS)}.")
        self.name, self.preprocessing, self.pooling = name, preprocessing, pooling
        self.convolutions = nn.ModuleDict({k: _frozen(*v, padding_mode) for k, v in convolutions.items()})
        self.heads = nn.ModuleDict({k: _frozen(*v, "zeros") for k, v in (heads or {}).items()})

    @property
    def layers(self) -> list[str]:
        places = [conv[4:] for conv in self.convolutions]
        every = [kind + place for place in places for kind in ("conv", "relu")]
        return [layer for layer in every if not self.heads or layer in self.heads or "conv" + layer[4:] in self.heads]

    @property
    def distilled(self) -> bool:
        return bool(self.heads)

    def bytes_per_pixel(self, layers: Iterable[str]) -> int:
        # At most: every convolution and every ReLU up to the deepest layer keeps its float32 result for the way back,
        # and so does a padded copy where reflection pads, and what was asked for once more less its mean; the largest
        # of them is there a few more times as gradient.
        wanted = {layer[4:]: layer for layer in layers}
        self.check(wanted.values())
        last = max(wanted)
        kept = largest = 0.0
        for conv, convolution in self.convolutions.items():
            if conv[4:] > last:
                break
            module = cast(nn.Conv2d, convolution)
            pixels = 0.25 ** (int(conv[4]) - 1)
            copies = 3 if module.padding_mode == "reflect" else 2
            head = self._head(wanted[conv[4:]]).out_channels if self.heads and conv[4:] in wanted else 0
            answer = (head or module.out_channels) if conv[4:] in wanted else 0
            kept += (module.out_channels * copies + head * 2 + answer) * pixels
            largest = max(largest, module.out_channels * pixels, head * pixels)
        return round(4 * (kept + 4 * largest))

    def forward(self, image: Tensor, layers: Iterable[str], relu: ReLU | None = None) -> dict[str, Tensor]:
        relu = relu or plain_relu
        wanted = set(layers)
        self.check(wanted)
        if not wanted:
            return {}
        last = max(layer[4:] for layer in wanted)
        found: dict[str, Tensor] = {}
        # Channels last: poolings and ReLUs of a CPU are faster so, and convolutions need no copy in an order of theirs.
        x = self.preprocessing(image).contiguous(memory_format=torch.channels_last)
        last_of_block = {conv[4]: conv for conv in self.convolutions}
        for conv, module in self.convolutions.items():
            place = conv[4:]
            asked, ends_block = {conv, "relu" + place} & wanted, conv == last_of_block[place[0]]
            before = self._convolved(x, cast(nn.Conv2d, module))
            if ends_block and not asked and self.pooling == "max":
                # The ReLU of the largest is the largest after the ReLU, and is of a quarter of the values.
                x = F.relu(self._pool(before), inplace=True)
                continue
            if conv in asked and not self.heads:
                found[conv] = before
                before = before.clone()  # for ReLUs are in place
            own = next((layer for layer in asked if self._is_relu_of_its_own(layer)), None)
            x = F.relu(before, inplace=True) if own is None else relu(own, before)
            for layer in asked - found.keys():
                if layer == own:
                    found[layer] = x
                else:
                    answer = self._convolved(x, self._head(layer))
                    found[layer] = answer if layer in self.heads else relu(layer, answer)
            if place == last:
                return found
            if ends_block:
                x = self._pool(x)
        raise AssertionError("check() admits only layers of this network")

    def condensed(self, bare: Collection[str] = ()) -> tuple[VGGNetwork, dict[str, Tensor]]:
        # A head without a ReLU behind it is a matrix W = QR, its bias a column of it; and W'W, which inner products are
        # made of, is R'R.
        linear = [layer for layer in self.heads if "relu" + layer[4:] in self.heads]
        if not linear:
            return self, {}
        found, matrices = copy.deepcopy(self), dict[str, Tensor]()
        for layer in linear:
            head = self._head(layer)
            both = torch.cat([head.weight.flatten(1), cast(Tensor, head.bias)[:, None]], 1)
            root = torch.linalg.qr(both.cpu().double(), mode="r").R.to(both)
            if layer in bare:
                found.heads[layer], matrices[layer] = nn.Identity(), root[:, :-1]
            else:
                found.heads[layer] = _frozen(root[:, :-1, None, None], root[:, -1], "zeros").to(both)
        return found, matrices

    def _is_relu_of_its_own(self, layer: str) -> bool:
        """Whether the layer's features are what this network's own ReLU makes, without a head behind it."""
        return isinstance(self.heads[layer], nn.Identity) if layer in self.heads else not self.heads and layer[0] == "r"

    def _head(self, layer: str) -> nn.Conv2d:
        return cast(nn.Conv2d, self.heads[layer if layer in self.heads else "conv" + layer[4:]])

    def _convolved(self, x: Tensor, module: nn.Conv2d) -> Tensor:
        kind, border = x.device.type, module.kernel_size[0] // 2
        if border and module.padding_mode == "reflect":
            x, border = _Reflected.apply(x), 0
        if self.exact and torch.is_autocast_enabled(kind):
            return _FrozenConvolution.apply(x, module.weight, module.bias, border, torch.get_autocast_dtype(kind))
        if _is_thin(module.weight) and not module.weight.requires_grad:
            return _FrozenConvolution.apply(x, module.weight, module.bias, border)
        return F.conv2d(x, module.weight, module.bias, padding=border)

    def _pool(self, x: Tensor) -> Tensor:
        if self.pooling != "max":
            return F.avg_pool2d(x, 2)
        return _MaxPool.apply(x) if len(x) == 1 and x.device.type == "cpu" else F.max_pool2d(x, 2)


class CombinedNetwork(FeatureNetwork):
    """Several networks as one: each layer comes from the first of them that has it.

    A VGG-19 of which only the first layers are at hand, and a slim network for those below, give the five layers of a
    style together, each as true as it can be had. A slim network's features are exact here: rounded to bfloat16 they
    made more than half of a nearly finished picture's gradient noise.
    """

    def __init__(self, networks: Sequence[FeatureNetwork]) -> None:
        super().__init__()
        self.name = "+".join(network.name for network in networks)
        self.networks = nn.ModuleList(networks)
        for network in networks[1:]:
            network.exact = network.distilled

    @property
    def layers(self) -> list[str]:
        return sorted({layer for network in self.parts for layer in network.layers}, key=lambda name: name[4:])

    @property
    def distilled(self) -> bool:
        # Where the layers of the fine patterns are a network's own, they hold the others' in check.
        return self.parts[0].distilled

    def bytes_per_pixel(self, layers: Iterable[str]) -> int:
        return sum(network.bytes_per_pixel(share) for network, share in self._shares(layers))

    def forward(self, image: Tensor, layers: Iterable[str], relu: ReLU | None = None) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for network, share in self._shares(layers):
            found |= network(image, share, relu)
        return found

    def condensed(self, bare: Collection[str] = ()) -> tuple[CombinedNetwork, dict[str, Tensor]]:
        shares = self._shares(bare)
        parts = [
            n.condensed([layer for network, share in shares for layer in share if network is n]) for n in self.parts
        ]
        return CombinedNetwork([n for n, _ in parts]), {k: v for _, found in parts for k, v in found.items()}

    @property
    def parts(self) -> list[FeatureNetwork]:
        """The networks, in the order in which they are asked."""
        return [cast(FeatureNetwork, network) for network in self.networks]

    def _shares(self, layers: Iterable[str]) -> list[tuple[FeatureNetwork, list[str]]]:
        """The networks that are needed, each with its layers. Raises StyleError for a layer that none has."""
        self.check(wanted := list(layers))
        source = {layer: n for n in reversed(self.parts) for layer in n.layers}
        shares = [(n, [layer for layer in wanted if source[layer] is n]) for n in self.parts]
        return [(network, share) for network, share in shares if share]


def _frozen(weight: Tensor, bias: Tensor, padding_mode: Literal["zeros", "reflect"]) -> nn.Conv2d:
    out_channels, in_channels, size, _ = weight.shape
    conv = nn.Conv2d(in_channels, out_channels, size, padding=size // 2, padding_mode=padding_mode)
    conv.weight, conv.bias = (nn.Parameter(v.float(), requires_grad=False) for v in (weight, bias))
    return conv.to(memory_format=torch.channels_last)


def vgg(
    name: str,
    state: Mapping[str, Tensor],
    kind: str,
    preprocessing: Preprocessing = TORCHVISION,
    pooling: str = "max",
) -> VGGNetwork:
    """A VGG from a state dict with torchvision's keys (``features.0.weight`` ...).

    ``kind`` is a key of CONVOLUTIONS_PER_BLOCK. The deep end may be missing: then fewer layers answer.
    Raises StyleError if the tensors are not those of this network.
    """
    convolutions: dict[str, tuple[Tensor, Tensor]] = {}
    index, channels_in = 0, 3
    for block, count in enumerate(CONVOLUTIONS_PER_BLOCK[kind], 1):
        channels = 64 * 2 ** min(block - 1, 3)
        for number in range(1, count + 1):
            weight, bias = state.get(f"features.{index}.weight"), state.get(f"features.{index}.bias")
            if weight is None or bias is None:
                if not convolutions:
                    raise StyleError(
                        _("{name} holds no {kind} weights: features.0.weight is missing.").format(name=name, kind=kind)
                    )
                return VGGNetwork(name, convolutions, preprocessing, pooling)
            if tuple(weight.shape) != (channels, channels_in, 3, 3):
                raise StyleError(
                    _(
                        "{name} holds weights of another network: features.{index}.weight is {shape} where {kind} has "
                        "{expected}."
                    ).format(
                        name=name,
                        index=index,
                        shape=tuple(weight.shape),
                        kind=kind,
                        expected=(channels, channels_in, 3, 3),
                    )
                )
            convolutions[f"conv{block}_{number}"] = (weight, bias)
            channels_in = channels
            index += 2  # the convolution and its ReLU
        index += 1  # the pooling between blocks
    return VGGNetwork(name, convolutions, preprocessing, pooling)


def slim(name: str, state: Mapping[str, Tensor], pooling: str = "max") -> VGGNetwork:
    """A slim VGG-19 in the layout of Wang et al. 2020 (arXiv 2003.08436): conv0, conv11 ... conv51, 1x1 heads.

    ``conv11_aux`` maps to VGG-19's normalised relu1_1 after a ReLU. Raises StyleError if a part is missing.
    """
    convolutions, heads = {}, {}
    try:
        for block, count in enumerate(CONVOLUTIONS_PER_BLOCK["vgg19"], 1):
            for number in range(1, count + 1):
                key, layer = f"conv{block}{number}", f"conv{block}_{number}"
                if f"{key}.weight" not in state:
                    break
                convolutions[layer] = (state[f"{key}.weight"], state[f"{key}.bias"])
                if f"{key}_aux.weight" in state:
                    heads[layer] = (state[f"{key}_aux.weight"], state[f"{key}_aux.bias"])
        first = state["conv0.weight"], state["conv0.bias"]
        preprocessing, convolutions["conv1_1"] = _joined(*first, *convolutions["conv1_1"])
    except KeyError as missing:
        raise StyleError(
            _("{name} is not a whole slim VGG-19: {missing} is missing.").format(name=name, missing=missing)
        ) from missing
    return VGGNetwork(name, convolutions, preprocessing, pooling, "reflect", heads)


def _joined(
    first: Tensor, first_bias: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Preprocessing, tuple[Tensor, Tensor]]:
    """A 1x1 convolution of RGB and one with a reflected border behind it as a preprocessing and one convolution.

    Of the first one's bias as much as possible is a mean that is subtracted: as a bias of the second it would cost
    float32 digits.
    """
    matrix, offset, wide = first.double()[:, :, 0, 0], first_bias.double(), weight.double()
    mean = torch.linalg.pinv(matrix) @ -offset
    left = wide.sum((2, 3)) @ (offset + matrix @ mean)
    red, green, blue = mean.tolist()
    return Preprocessing(1.0, (red, green, blue), (1.0, 1.0, 1.0), bgr=False), (
        torch.einsum("oikl,ij->ojkl", wide, matrix).to(weight),
        (bias.double() + left).to(bias),
    )


def compact(name: str, state: Mapping[str, Tensor], pooling: str = "max") -> VGGNetwork:
    """A slim VGG-19 in our own layout (see distill.py): conv1_1 ... conv5_1, and 1x1 heads head_conv1_1, head_relu1_1
    ... head_relu5_1.

    Raises StyleError if a part is missing.
    """
    convolutions, heads = {}, {}
    try:
        for block, count in enumerate((*CONVOLUTIONS_PER_BLOCK["vgg19"][:4], 1), 1):
            for number in range(1, count + 1):
                layer = f"conv{block}_{number}"
                convolutions[layer] = (state[f"{layer}.weight"], state[f"{layer}.bias"])
            for layer in (f"conv{block}_1", f"relu{block}_1"):
                heads[layer] = (state[f"head_{layer}.weight"], state[f"head_{layer}.bias"])
    except KeyError as missing:
        raise StyleError(
            _("{name} is not a whole compact network: {missing} is missing.").format(name=name, missing=missing)
        ) from missing
    return VGGNetwork(name, convolutions, TORCHVISION, pooling, heads=heads)
