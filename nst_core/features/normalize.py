"""Weight normalisation: every channel as strong as every other, on average (Gatys et al. 2015, arXiv 1508.06576)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from nst_core.base.errors import StyleError
from nst_core.features.combined import CombinedNetwork
from nst_core.features.layers import Layer
from nst_core.features.network import FeatureNetwork
from nst_core.features.vgg import VGGNetwork


def normalized(network: FeatureNetwork, pictures: Sequence[Tensor]) -> FeatureNetwork:
    """Return a copy of ``network`` where each channel has a mean of 1 after its ReLU, over ``pictures`` and positions.

    Each filter and its bias are divided by the mean, and the next layer's weights for this channel are multiplied by
    it, which changes each channel by that factor alone: poolings and the ReLU let a positive factor through. A channel
    that never fires stays as it is. In a network with heads, only the heads are scaled. The parts of a combined network
    are scaled one by one.

    ``pictures`` are [N, 3, H, W], RGB, sRGB-encoded 0..1, of any size. Raises StyleError if there are none.
    """
    if isinstance(network, CombinedNetwork):
        return CombinedNetwork([normalized(part, pictures) for part in network.parts])
    if not isinstance(network, VGGNetwork):
        raise TypeError(f"{type(network).__name__} has no convolutions to scale")
    means = _mean_activations(network, pictures)
    result = copy.deepcopy(network)
    result.name = f"{network.name}-normalised"
    previous_mean: Tensor | None = None
    with torch.no_grad():
        for layer, module in (result.heads or result.convolutions).items():
            # A head for the ReLU's result and one for what comes before it are scaled alike.
            convolution, mean = cast(nn.Conv2d, module), means[str(Layer.parse(layer).conv)]
            if previous_mean is not None:
                convolution.weight *= previous_mean.view(1, -1, 1, 1)
            convolution.weight /= mean.view(-1, 1, 1, 1)
            cast(Tensor, convolution.bias).div_(mean)
            previous_mean = None if result.heads else mean  # heads do not feed one another
    return result


def _mean_activations(network: VGGNetwork, pictures: Sequence[Tensor]) -> Mapping[str, Tensor]:
    """Compute the mean of every channel after its ReLU, [C] by convolution; 1 for channels that never fire."""
    relus = [layer for layer in network.layers if Layer.parse(layer).kind == "relu"]
    sums: dict[str, Tensor] = {}
    positions = dict.fromkeys(relus, 0)
    with torch.no_grad():
        for picture in pictures:
            for layer, activation in network(picture, relus).items():
                sums[layer] = sums.get(layer, 0) + activation.sum((0, 2, 3))
                positions[layer] += activation[:, 0].numel()
    if not sums:
        raise StyleError("There are no pictures to normalise the feature network with; give at least one.")
    means = {str(Layer.parse(layer).conv): total / positions[layer] for layer, total in sums.items()}
    return {layer: torch.where(mean > 0, mean, 1) for layer, mean in means.items()}
