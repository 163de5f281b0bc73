"""The objective of a training in which each style has several rows, and pictures are painted by mixtures of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from nst_core.base.errors import StyleError
from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.features.network import FeatureNetwork
from nst_core.losses.loss_kernels import fused_square_error, fused_total_variation, mean_activation_by_product
from nst_core.losses.objective import Objective


@dataclass
class RowsObjective:
    """The objectives of the rows of a style, mixed for each picture; one pass of the feature network computes all.

    Each of ``rows`` is a row's objective; they may differ in their weights and content layers only. ``mean_weight`` is
    the weight of each style layer's mean activation relative to its Gram matrix. ``styles`` as for ``Objective``.

    Raises StyleError as ``Objective`` does, or if the rows differ in something else.
    """

    network: FeatureNetwork
    rows: Sequence[ObjectiveSettings]
    styles: Sequence[Tensor]
    mean_weight: float = 0.0
    _objective: Objective = field(init=False, repr=False)  # with the content layers of all rows
    _content_weights: Tensor = field(init=False, repr=False)  # [rows, content layers]
    _style_weights: Tensor = field(init=False, repr=False)  # [rows, style layers]
    _tv_weights: Tensor = field(init=False, repr=False)  # [rows]

    def __post_init__(self) -> None:
        first = self.rows[0]
        if any(_shared(row) != _shared(first) for row in self.rows):
            raise StyleError("The rows of a style may differ in their weights and content layers only.")
        if first.style_loss != "gram":
            raise StyleError("Trainings compare styles by their Gram matrices; choose the style loss gram.")
        content_layers = tuple(dict.fromkeys(layer for row in self.rows for layer in row.content_layers))
        settings = replace(first, content_layers=content_layers, content_layer_weights=(), nearby_layers=())
        self._objective = Objective(self.network, settings, self.styles)
        device = self.styles[0].device
        self._content_weights = torch.tensor([_content_weights(row, content_layers) for row in self.rows]).to(device)
        style_weights = [[row.style_weight * w for w in row.weights_by_layer.values()] for row in self.rows]
        self._style_weights = torch.tensor(style_weights).to(device)
        self._tv_weights = torch.tensor([row.tv_weight for row in self.rows]).to(device)

    def content_targets(self, photo: Tensor) -> dict[str, Tensor]:
        """Compute the features of ``photo`` ([N, 3, H, W]) at the content layers of all rows, without gradient."""
        return self._objective.content_targets(photo)

    def __call__(
        self, image: Tensor, content_targets: dict[str, Tensor], style_indices: Tensor, mixtures: Tensor
    ) -> dict[str, Tensor]:
        """Compute the weighted losses of ``image``: ``content``, ``style``, ``mean``, ``tv`` and their sum ``total``.

        ``style_indices``, int64 [N], is each picture's style. ``mixtures``, [N, rows], has each picture's share of each
        row, which sum to 1. Without a ``mean_weight`` there is no ``mean``.
        """
        objective, style_weights = self._objective, mixtures @ self._style_weights
        style_layers = objective.settings.style_layers
        features, grams = objective.features_and_grams(image, style_indices)
        variations = torch.stack([fused_total_variation(one, objective.settings.tv_exponent) for one in image.split(1)])
        losses = {
            "content": _weighted_errors(
                features, content_targets, objective.settings.content_layers, mixtures @ self._content_weights
            ),
            "style": _weighted_errors(grams, objective.target_grams(style_indices), style_layers, style_weights),
            "tv": (mixtures @ self._tv_weights * variations).mean(),
        }
        if self.mean_weight:
            targets = {layer: mean.flatten(1).float() for layer, mean in objective.target_means(style_indices).items()}
            means = {layer: mean_activation_by_product(features[layer]) for layer in targets}
            losses["mean"] = self.mean_weight * _weighted_errors(means, targets, style_layers, style_weights)
        return losses | {"total": torch.stack([*losses.values()]).sum()}


def _shared(row: ObjectiveSettings) -> tuple[object, ...]:
    return row.style_layers, row.style_loss, row.centred, row.tv_exponent


def _content_weights(row: ObjectiveSettings, layers: Sequence[str]) -> list[float]:
    """Return the weight of each of ``layers`` in a row; its layers share its content weight."""
    by_layer = row.content_weights_by_layer
    total = sum(by_layer.values())
    return [row.content_weight * by_layer.get(layer, 0.0) / total for layer in layers]


def _weighted_errors(
    values: Mapping[str, Tensor], targets: Mapping[str, Tensor], layers: Sequence[str], weights: Tensor
) -> Tensor:
    """Sum the relative square errors over ``layers``; ``weights``, [N, layers], weigh each picture's."""
    by_layer = zip(layers, weights.unbind(1), strict=True)
    return torch.stack([fused_square_error(values[layer], targets[layer], weight) for layer, weight in by_layer]).sum()
