"""Plain L-BFGS as the classic systems write it in PyTorch: the yardstick for our own iterative render.

Gatys et al. 2015 (arXiv 1508.06576) as ProGamerGov/neural-style-pt and the course notebooks have it: everything in
float32 and in PyTorch's own order of memory, the layers one after the other, a Gram matrix by one product of a whole
layer, torch.optim.LBFGS with its memory of a hundred steps, from the photo, at one size. The losses are ours, so that
both can be compared.
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

HISTORY = 100  # steps: PyTorch's own, and neural-style-pt's


def render(
    photo: Tensor,
    style: Tensor,
    features: FeatureNetwork,
    settings: IterativeSettings,
    progress: Callable[[IterativeProgress], bool],
) -> IterativeProgress:
    """Paint like ``nst_core.iterative.render``, by the objective, size and iterations of ``settings`` alone."""
    s = settings.objective
    photo = resized_to_long_side(photo, settings.size)
    height, width = photo.shape[-2:]
    style = resized_to_area(style, settings.style_scale * (height * width) ** 0.5)
    with torch.no_grad():
        content = activations(features, photo, s.content_layers)
        styles = activations(features, style, s.style_layers)
        centres = {layer: value.mean((2, 3), keepdim=True) * s.centred for layer, value in styles.items()}
        targets = {layer: _gram(value, centres[layer]) for layer, value in styles.items()}
    image = photo.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([image], max_iter=1, history_size=HISTORY, tolerance_grad=0.0, tolerance_change=0.0)
    losses: dict[str, Tensor] = {}

    def closure() -> Tensor:
        optimizer.zero_grad()
        found = activations(features, image, s.layers)
        grams = {layer: _gram(found[layer], centre) for layer, centre in centres.items()}
        losses["content"] = s.content_weight * content_loss(found, content, s.content_weights_by_layer)
        losses["style"] = s.style_weight * style_loss(grams, targets, s.weights_by_layer)
        losses["tv"] = s.tv_weight * total_variation(image, s.tv_exponent)
        losses["total"] = losses["content"] + losses["style"] + losses["tv"]
        losses["total"].backward()
        return losses["total"]

    done = IterativeProgress(0, settings.iterations, {}, photo)
    for iteration in range(1, settings.iterations + 1):
        optimizer.step(closure)
        now = {name: loss.item() for name, loss in losses.items()}
        done = IterativeProgress(iteration, settings.iterations, now, image.detach().clamp(0, 1))
        if not progress(done):
            break
    return done


def activations(features: FeatureNetwork, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
    """The ReLU layers asked for, as ``features`` gives them."""
    found: dict[str, Tensor] = {}
    for part in features.parts if isinstance(features, CombinedNetwork) else [features]:
        network = cast(VGGNetwork, part)
        wanted = {layer for layer in layers if layer not in found and layer in network.layers}
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
                    found[layer] = network.heads[layer](x)
                else:
                    found[layer] = F.relu(network.heads[conv](x)) if network.heads else x
            if layer == max(wanted, key=Layer.parse):
                break
    return found


def _gram(features: Tensor, centre: Tensor) -> Tensor:
    pixels = (features - centre).flatten(2)
    return pixels @ pixels.transpose(1, 2) / pixels.shape[2]
