"""Render with plain L-BFGS as the classic systems write it in PyTorch, to compare our iterative renders with.

This is Gatys et al. 2015 (arXiv 1508.06576) as ProGamerGov/neural-style-pt and course notebooks implement it:
everything in float32 and in PyTorch's default memory format, one layer after another, each Gram matrix from one product
of a whole layer, and torch.optim.LBFGS with its history of a hundred steps, from the photo, at one size. The losses are
ours, so both can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_core.base.iterative_settings import IterativeSettings
from nst_core.features.combined import CombinedNetwork
from nst_core.features.layers import Layer
from nst_core.features.network import FeatureNetwork
from nst_core.features.vgg import VGGNetwork
from nst_core.iterative.render import IterativeProgress
from nst_core.losses.functional import content_loss, style_loss, total_variation
from nst_core.pictures.resize import resized_to_area, resized_to_long_side

HISTORY = 100  # steps: the default of PyTorch and of neural-style-pt


def render(
    photo: Tensor,
    style: Tensor,
    features: FeatureNetwork,
    settings: IterativeSettings,
    progress: Callable[[IterativeProgress], bool],
) -> IterativeProgress:
    """Paint like ``nst_core.iterative.render.render``, using only the objective, size and iterations of ``settings``.

    ``photo`` and ``style`` are [1, 3, H, W] in 0..1.
    """
    loss_settings = settings.objective
    photo = resized_to_long_side(photo, settings.size)
    height, width = photo.shape[-2:]
    style = resized_to_area(style, settings.style_scale * (height * width) ** 0.5)
    with torch.no_grad():
        content = _activations(features, photo, loss_settings.content_layers)
        styles = _activations(features, style, loss_settings.style_layers)
        centres = {layer: value.mean((2, 3), keepdim=True) * loss_settings.centred for layer, value in styles.items()}
        targets = {layer: _gram(value, centres[layer]) for layer, value in styles.items()}
    image = photo.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([image], max_iter=1, history_size=HISTORY, tolerance_grad=0.0, tolerance_change=0.0)
    losses: dict[str, Tensor] = {}

    def closure() -> Tensor:
        optimizer.zero_grad()
        features_of_image = _activations(features, image, loss_settings.layers)
        grams = {layer: _gram(features_of_image[layer], centre) for layer, centre in centres.items()}
        losses["content"] = loss_settings.content_weight * content_loss(
            features_of_image, content, loss_settings.content_weights_by_layer
        )
        losses["style"] = loss_settings.style_weight * style_loss(grams, targets, loss_settings.weights_by_layer)
        losses["tv"] = loss_settings.tv_weight * total_variation(image, loss_settings.tv_exponent)
        losses["total"] = losses["content"] + losses["style"] + losses["tv"]
        losses["total"].backward()
        return losses["total"]

    step = IterativeProgress(0, settings.iterations, {}, photo)
    for iteration in range(1, settings.iterations + 1):
        optimizer.step(closure)
        values = {name: loss.item() for name, loss in losses.items()}
        step = IterativeProgress(iteration, settings.iterations, values, image.detach().clamp(0, 1))
        if not progress(step):
            break
    return step


def _activations(features: FeatureNetwork, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
    """Compute the given ReLU layers as ``features`` does."""
    activations: dict[str, Tensor] = {}
    for part in features.parts if isinstance(features, CombinedNetwork) else [features]:
        network = cast(VGGNetwork, part)
        wanted = {layer for layer in layers if layer not in activations and layer in network.layers}
        if not wanted:
            continue
        x = network.preprocessing(image)
        for conv, convolution in network.convolutions.items():
            place = Layer.parse(conv)
            if place == place.first_of_block and place.block > 1:
                x = F.max_pool2d(x, 2) if network.pooling == "max" else F.avg_pool2d(x, 2)
            x = F.relu(convolution(x))
            layer = str(place.relu)
            if layer in wanted:
                if layer in network.heads:
                    activations[layer] = network.heads[layer](x)
                else:
                    activations[layer] = F.relu(network.heads[conv](x)) if network.heads else x
            if layer == max(wanted, key=Layer.parse):
                break
    return activations


def _gram(features: Tensor, centre: Tensor) -> Tensor:
    pixels = (features - centre).flatten(2)
    return pixels @ pixels.transpose(1, 2) / pixels.shape[2]
