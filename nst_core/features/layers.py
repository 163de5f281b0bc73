"""Names of a feature network's layers, in VGG's numbering.

A layer is called ``conv4_1`` before its ReLU and ``relu4_1`` after it (Simonyan and Zisserman 2014,
arXiv 1409.1556; the numbering is that of Gatys et al. 2015, arXiv 1508.06576).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from nst_core.base.errors import StyleError

Kind = Literal["conv", "relu"]

CONVOLUTIONS_PER_BLOCK = {"vgg19": (2, 2, 4, 4, 4), "vgg16": (2, 2, 3, 3, 3)}
# VGG-19 up to conv5_1, the deepest of Gatys' style layers.
VGG19_TO_CONV5_1 = (*CONVOLUTIONS_PER_BLOCK["vgg19"][:4], 1)


@dataclass(frozen=True, order=True)
class Layer:
    """A layer of a VGG; layers sort as the network computes them.

    Attributes:
        block: the number of its block, the layers between two poolings, from 1.
        number: the number of its convolution in the block, from 1.
        kind: ``conv`` for a convolution's result, ``relu`` for the result of the ReLU after it.
    """

    block: int
    number: int
    kind: Kind  # in alphabetical order, a convolution comes before its ReLU

    @classmethod
    def parse(cls, name: str) -> Layer:
        """Return the layer called ``name``, such as ``relu3_1``. Raises StyleError if that names no layer."""
        match = re.fullmatch(r"(conv|relu)([1-9]\d*)_([1-9]\d*)", name)
        if match is None:
            raise StyleError(f"There is no layer {name!r}; layers have names like relu3_1 or conv3_1.")
        return cls(int(match[2]), int(match[3]), cast(Kind, match[1]))

    def __str__(self) -> str:
        return f"{self.kind}{self.block}_{self.number}"

    @property
    def conv(self) -> Layer:
        """The convolution at this place."""
        return replace(self, kind="conv")

    @property
    def relu(self) -> Layer:
        """The ReLU at this place."""
        return replace(self, kind="relu")

    @property
    def first_of_block(self) -> Layer:
        """The first layer of this kind in the same block."""
        return replace(self, number=1)


def convolutions(counts: Sequence[int]) -> list[Layer]:
    """Return the convolutions of a network with ``counts`` of them in its blocks, in order."""
    return [Layer(block, number, "conv") for block, count in enumerate(counts, 1) for number in range(1, count + 1)]


def torchvision_keys(counts: Sequence[int]) -> dict[Layer, str]:
    """Return each convolution's key in torchvision: ``features.0`` for conv1_1, ``features.5`` for conv2_1.

    In torchvision, a block is a series of convolutions, each followed by its ReLU, and then one pooling.
    """
    # Each earlier convolution takes up two places with its ReLU, and each earlier block one more for its pooling.
    return {layer: f"features.{2 * index + layer.block - 1}" for index, layer in enumerate(convolutions(counts))}
