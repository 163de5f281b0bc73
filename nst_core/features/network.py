"""The interface that every feature network has, and the preprocessing of its pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.features.layers import Layer

# Mean and standard deviation of ImageNet per channel in RGB 0..1, which torchvision's networks expect.
TORCHVISION_MEAN, TORCHVISION_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The first VGG release: BGR, 0..255, this mean subtracted (given here in RGB order).
CAFFE_MEAN = (123.68, 116.779, 103.939)

# Four poolings leave two pixels of this, the least that reflection padding can mirror.
SMALLEST_PICTURE_SIDE = 32

ReLU = Callable[[str, Tensor], Tensor]
"""Computes a layer's activation from the layer's name and its pre-activation, which may be overwritten."""


def plain_relu(layer: str, before: Tensor) -> Tensor:
    """Apply PyTorch's ReLU to ``before`` in place, whatever the layer."""
    return F.relu(before, inplace=True)


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing of a network's pixels: ``(rgb * scale - mean) / std``, the channels reversed if ``bgr``."""

    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool

    def __call__(self, rgb: Tensor) -> Tensor:
        """Convert [N, 3, H, W] in RGB 0..1."""
        factor = _by_channel([self.scale / std for std in self.std], rgb)
        offset = _by_channel([-mean / std for mean, std in zip(self.mean, self.std, strict=True)], rgb)
        out = torch.addcmul(offset, rgb, factor)
        return out.flip(1) if self.bgr else out


def _by_channel(values: Sequence[float], like: Tensor) -> Tensor:
    """Return [1, 3, 1, 1] on the device of ``like``.

    It is filled there: a GPU would have to finish all its work before a copy from the CPU.
    """
    return torch.stack([like.new_full((), value) for value in values]).view(1, 3, 1, 1)


TORCHVISION = Preprocessing(1.0, TORCHVISION_MEAN, TORCHVISION_STD, bgr=False)
CAFFE = Preprocessing(255.0, CAFFE_MEAN, (1.0, 1.0, 1.0), bgr=True)
# The same network as MatConvNet stores it: the channels of the first filters are reversed, to RGB.
MATCONVNET = Preprocessing(255.0, CAFFE_MEAN, (1.0, 1.0, 1.0), bgr=False)


class FeatureNetwork(nn.Module, ABC):
    """A frozen network that returns the activations of the requested layers.

    Layers have names such as ``relu4_1`` (see layers.py).

    Attributes:
        name: how results refer to it (``vgg19``, or the name of a weights file).
        exact: whether its features stay float32 under autocast and only their gradient is rounded.
    """

    name: str
    exact: bool = False

    @property
    @abstractmethod
    def layers(self) -> list[str]:
        """Every layer that can be requested, in order, from ``conv1_1`` and ``relu1_1`` on."""

    @property
    @abstractmethod
    def distilled(self) -> bool:
        """Whether the network, or at least its first layers, predicts another network's features."""

    @abstractmethod
    def bytes_per_pixel(self, layers: Iterable[str]) -> int:
        """Return the bytes per input pixel that one picture's ``layers`` and their gradient take.

        Raises StyleError if the network lacks a layer.
        """

    @abstractmethod
    def forward(self, image: Tensor, layers: Iterable[str], relu: ReLU | None = None) -> dict[str, Tensor]:
        """Compute the features of ``image`` ([N, 3, H, W], RGB, sRGB-encoded 0..1) by layer: [N, C, h, w] each.

        ``relu`` replaces PyTorch's ReLU where a ReLU's result is one of ``layers``.
        Raises StyleError if the network lacks a layer.
        """

    def condensed(self, bare: Collection[str] = ()) -> tuple[FeatureNetwork, dict[str, Tensor]]:
        """Return an equivalent network whose features have fewer channels, where that is possible.

        The features have the same inner products, hence the same distances between features and between their Gram
        matrices, but not the same channels. For layers in ``bare``, the network may leave out the last step, an affine
        map of the channels; the second result holds the matrices of these maps, [D, C] by layer.
        """
        return self, {}

    def check(self, layers: Iterable[str]) -> None:
        """Raise StyleError, naming the valid layers, if the network lacks one of ``layers``."""
        valid = self.layers
        for layer in layers:
            if layer not in valid:
                relus = ", ".join(name for name in valid if Layer.parse(name).kind == "relu")
                raise StyleError(
                    _(
                        "The feature network {name} has no layer {layer!r}; it has {relus} (and the same names with "
                        "conv, before the ReLU)."
                    ).format(name=self.name, layer=layer, relus=relus)
                )
