"""The objective that rendering and training share: which layers, which weights, which targets."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from nst_core import losses
from nst_core.errors import StyleError
from nst_core.features import FeatureNetwork
from nst_core.settings import ObjectiveSettings

# Four poolings leave two pixels of this, the least that reflection padding can mirror.
SMALLEST_SIDE = 32


@dataclass
class Objective:
    """Weighted content + style + total-variation loss towards one style picture.

    ``style`` is [1, 3, h, w], RGB, sRGB-encoded 0..1. Raises StyleError if the network lacks a layer, or the style is
    too small or of one colour.
    """

    network: FeatureNetwork
    settings: ObjectiveSettings
    style: Tensor
    _means: dict[str, Tensor] = field(init=False, repr=False)
    _targets: dict[str, Tensor] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.network.check(self.settings.layers)
        height, width = self.style.shape[-2:]
        if min(height, width) < SMALLEST_SIDE:
            raise StyleError(
                f"At this size the style picture is {width}x{height} pixels, and its shorter side needs "
                f"{SMALLEST_SIDE}; make it larger or choose a less narrow one."
            )
        if self.style.flatten(2).std(2).max() < 1 / 255:
            raise StyleError("The style picture is all of one colour; choose one with strokes or texture.")
        with torch.no_grad():
            features = self.network(self.style, self.settings.style_layers)
            self._means = {layer: value.mean((2, 3), keepdim=True) for layer, value in features.items()}
            self._targets = self._grams(features)

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
            "style": s.style_weight * losses.style_loss(self._grams(features), self._targets, s.weights_by_layer),
            "tv": s.tv_weight * losses.total_variation(image),
        }
        return found | {"total": torch.stack([*found.values()]).sum()}

    def _grams(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        centre = self._means if self.settings.centred else dict.fromkeys(self._means, 0.0)
        return {layer: losses.gram_matrix(features[layer] - centre[layer]) for layer in self.settings.style_layers}
