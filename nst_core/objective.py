"""The objective that rendering and training share: which layers, which weights, which targets."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from nst_core import losses
from nst_core.features import FeatureNetwork

GATYS_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@dataclass(frozen=True)
class ObjectiveSettings:
    """Layers and weights of the loss.

    The five style layers are Gatys' (2015); content is matched at relu4_1, which every network here has
    (Gatys: relu4_2). ``style_layer_weights`` runs beside ``style_layers``; an empty tuple means 1 each.
    """

    content_layers: tuple[str, ...] = ("relu4_1",)
    style_layers: tuple[str, ...] = GATYS_STYLE_LAYERS
    style_layer_weights: tuple[float, ...] = ()
    content_weight: float = 0.3
    style_weight: float = 1.0
    tv_weight: float = 0.3

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.content_layers + self.style_layers))

    @property
    def weights_by_layer(self) -> dict[str, float]:
        return dict(zip(self.style_layers, self.style_layer_weights or (1.0,) * len(self.style_layers), strict=True))


@dataclass
class Objective:
    """Weighted content + style + total-variation loss towards one style picture.

    ``style`` is [1, 3, h, w], RGB, sRGB-encoded 0..1. Raises StyleError if the network lacks a layer.
    """

    network: FeatureNetwork
    settings: ObjectiveSettings
    style: Tensor
    _grams: dict[str, Tensor] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.network.check(self.settings.layers)
        with torch.no_grad():
            features = self.network(self.style, self.settings.style_layers)
            self._grams = {layer: losses.gram_matrix(value) for layer, value in features.items()}

    def content_targets(self, photo: Tensor) -> dict[str, Tensor]:
        """Features of ``photo`` ([N, 3, H, W]) at the content layers, without gradient."""
        with torch.no_grad():
            return self.network(photo, self.settings.content_layers)

    def __call__(self, image: Tensor, content_targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weighted losses of ``image``: ``content``, ``style``, ``tv`` and their sum ``total``; scalars."""
        s = self.settings
        features = self.network(image, s.layers)
        found = {
            "content": s.content_weight * losses.content_loss(features, content_targets),
            "style": s.style_weight
            * torch.stack([*losses.style_losses(features, self._grams, s.weights_by_layer).values()]).sum(),
            "tv": s.tv_weight * losses.total_variation(image),
        }
        return found | {"total": torch.stack([*found.values()]).sum()}
