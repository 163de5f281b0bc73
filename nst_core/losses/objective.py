"""The objective that iterative rendering and training share: which layers, which weights, which targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.features.layers import Layer
from nst_core.features.network import SMALLEST_PICTURE_SIDE, FeatureNetwork, plain_relu
from nst_core.losses.functional import LEVEL, content_loss, ridged_root, style_loss, wasserstein_2
from nst_core.losses.loss_kernels import (
    blocked_gram_matrix,
    fused_relu_and_gram_matrix,
    fused_square_error,
    fused_total_variation,
)


def fitted(settings: ObjectiveSettings, network: FeatureNetwork) -> tuple[ObjectiveSettings, list[str]]:
    """Return ``settings`` with layers that ``network`` has, and a sentence for each layer that was replaced.

    Only ``settings.nearby_layers`` are replaced; ``Objective`` refuses any other layer that is missing.
    """
    valid, notes = network.layers, dict[str, str]()

    def nearby(layer: str) -> str:
        if layer in valid or layer not in settings.nearby_layers:
            return layer
        first = str(Layer.parse(layer).first_of_block)
        if first not in valid:
            return layer
        notes[layer] = f"{network.name} has no {layer}; {first} is used instead."
        return first

    content, style = (tuple(nearby(layer) for layer in v) for v in (settings.content_layers, settings.style_layers))
    return replace(settings, content_layers=content, style_layers=style), list(notes.values())


@dataclass
class Objective:
    """Weighted content + style + total-variation loss towards one or several style pictures.

    Each of ``styles`` is [1, 3, h, w], RGB, sRGB-encoded 0..1. Raises StyleError if the network lacks a layer, or a
    style picture is too small or of one colour.
    """

    network: FeatureNetwork
    settings: ObjectiveSettings
    styles: Sequence[Tensor]
    heads: dict[str, Tensor] = field(init=False, repr=False)  # [D, C] by layer: the last step of bare layers
    _means: dict[str, Tensor] = field(init=False, repr=False)  # [styles, C, 1, 1] by layer
    _targets: dict[str, Tensor] = field(init=False, repr=False)  # [styles, C, C] by layer
    _roots: dict[str, Tensor] = field(init=False, repr=False)  # of the targets, for w2 only

    def __post_init__(self) -> None:
        self.network.check(self.settings.layers)
        s = self.settings
        # All losses depend only on distances and inner products. The centred Gram matrix of a linear head is that of
        # its input, multiplied by the head's matrix, which is small.
        bare = set(s.style_layers) - set(s.content_layers) if s.style_loss == "gram" and s.centred else set()
        self.network, self.heads = self.network.condensed(bare)
        statistics = [self._style_statistics(style) for style in self.styles]
        self._means = {layer: torch.cat([means[layer] for means, _ in statistics]) for layer in s.style_layers}
        self._targets = {layer: torch.cat([grams[layer] for _, grams in statistics]) for layer in s.style_layers}
        w2 = s.style_loss == "w2"
        self._roots = {layer: ridged_root(self._targets[layer]) for layer in s.style_layers if w2}

    def content_targets(self, photo: Tensor) -> dict[str, Tensor]:
        """Compute the features of ``photo`` ([N, 3, H, W]) at the content layers, without gradient."""
        with torch.no_grad():
            features: dict[str, Tensor] = self.network(photo, self.settings.content_layers)
            return features

    def __call__(
        self, image: Tensor, content_targets: dict[str, Tensor], style_indices: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compute the weighted losses of ``image``: ``content``, ``style``, ``tv`` and their sum ``total``; scalars.

        ``style_indices``, int64 [N], chooses a style for each picture of the batch; without it, all have the first.
        """
        s = self.settings
        features, grams = self.features_and_grams(image, style_indices)
        content = content_loss(features, content_targets, s.content_weights_by_layer, fused_square_error)
        if s.style_loss == "gram":
            style = self._gram_loss(grams, style_indices)
        else:
            style = self._w2_loss(features, grams, style_indices)
        losses = {
            "content": s.content_weight * content,
            "style": s.style_weight * style,
            "tv": s.tv_weight * fused_total_variation(image, s.tv_exponent),
        }
        return losses | {"total": torch.stack([*losses.values()]).sum()}

    def target_means(self, style_indices: Tensor | None = None) -> dict[str, Tensor]:
        """Return the style pictures' mean activations at the style layers, [N or 1, C, 1, 1]."""
        return {layer: _select(self._means[layer], style_indices) for layer in self.settings.style_layers}

    def target_grams(self, style_indices: Tensor | None = None) -> dict[str, Tensor]:
        """Return the style pictures' Gram matrices at the style layers, [N or 1, C, C]."""
        return {layer: _select(self._targets[layer], style_indices) for layer in self.settings.style_layers}

    def features_and_grams(
        self, image: Tensor, style_indices: Tensor | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Compute the features of ``image`` at all layers, and its Gram matrices at the style layers."""
        means, grams = self.target_means(style_indices), dict[str, Tensor]()

        def relu(layer: str, before: Tensor) -> Tensor:
            if layer not in means:
                return plain_relu(layer, before)
            after, grams[layer] = fused_relu_and_gram_matrix(before, self.centre(means[layer]), self.heads.get(layer))
            return after

        features = self.network(image, self.settings.layers, relu)
        without_relu = {layer: mean for layer, mean in means.items() if layer not in grams}
        return features, grams | self._grams(features, without_relu)

    def _gram_loss(self, grams: Mapping[str, Tensor], style_indices: Tensor | None) -> Tensor:
        return style_loss(grams, self.target_grams(style_indices), self.settings.weights_by_layer, fused_square_error)

    def _w2_loss(
        self, features: Mapping[str, Tensor], grams: Mapping[str, Tensor], style_indices: Tensor | None
    ) -> Tensor:
        errors = []
        for layer, weight in self.settings.weights_by_layer.items():
            target_mean = _select(self._means[layer], style_indices)
            difference = (features[layer].mean((2, 3), keepdim=True) - target_mean).flatten(1)
            # The Gram matrix is centred at the style's mean, which is close to the picture's. Far from it, the square
            # of the difference would cost the covariance its digits.
            covariance = grams[layer] - difference[:, :, None] * difference[:, None, :]
            target = _select(self._targets[layer], style_indices), _select(self._roots[layer], style_indices)
            mean = target_mean.flatten(1)
            errors.append(weight * wasserstein_2(mean + difference, covariance, mean, *target))
        return torch.stack(errors).sum()

    def _style_statistics(self, style: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Compute the mean features and the Gram matrices of a style picture, by layer."""
        height, width = style.shape[-2:]
        if min(height, width) < SMALLEST_PICTURE_SIDE:
            raise StyleError(
                _(
                    "At this size the style picture is {width}x{height} pixels, and its shorter side needs "
                    "{least}; make it larger or choose a less narrow one."
                ).format(width=width, height=height, least=SMALLEST_PICTURE_SIDE)
            )
        if style.flatten(2).std(2).max() < LEVEL:
            raise StyleError(_("The style picture is all of one colour; choose one with strokes or texture."))
        with torch.no_grad():
            features = self.network(style, self.settings.style_layers)
            means = {layer: value.mean((2, 3), keepdim=True) for layer, value in features.items()}
            return means, self._grams(features, means)

    def _grams(self, features: Mapping[str, Tensor], means: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute the Gram matrices of the layers in ``means``."""
        return {
            layer: blocked_gram_matrix(features[layer], self.centre(mean), self.heads.get(layer))
            for layer, mean in means.items()
        }

    def centre(self, mean: Tensor) -> Tensor | None:
        """Return what is subtracted from features before their Gram matrix, if their style has this mean."""
        return mean if self.settings.centred else None


def _select(values: Tensor, style_indices: Tensor | None) -> Tensor:
    """Return the values of these styles, in this order; without indices those of the first, to serve a whole batch."""
    return values[:1] if style_indices is None else values[style_indices.to(values.device)]
