"""The objective that rendering and training share: which layers, which weights, which targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from nst_core import losses
from nst_core.errors import StyleError
from nst_core.features import FeatureNetwork, plain_relu
from nst_core.language import _
from nst_core.settings import ObjectiveSettings

# Four poolings leave two pixels of this, the least that reflection padding can mirror.
SMALLEST_SIDE = 32


def fitted(settings: ObjectiveSettings, network: FeatureNetwork) -> tuple[ObjectiveSettings, list[str]]:
    """``settings`` with layers that ``network`` has, and a sentence for each one that was replaced.

    Only ``settings.nearby_layers`` are; another one that is missing is left for ``Objective`` to refuse.
    """
    valid, notes = network.layers, dict[str, str]()

    def nearby(layer: str) -> str:
        first = layer[: layer.rfind("_")] + "_1"
        if layer in valid or layer not in settings.nearby_layers or first not in valid:
            return layer
        notes[layer] = f"{network.name} has no {layer}; {first} takes its place."
        return first

    content, style = (tuple(nearby(layer) for layer in v) for v in (settings.content_layers, settings.style_layers))
    return replace(settings, content_layers=content, style_layers=style), list(notes.values())


@dataclass
class Objective:
    """Weighted content + style + total-variation loss towards one or several style pictures.

    Each of ``styles`` is [1, 3, h, w], RGB, sRGB-encoded 0..1. Raises StyleError if the network lacks a layer, or a
    style is too small or of one colour.
    """

    network: FeatureNetwork
    settings: ObjectiveSettings
    styles: Sequence[Tensor]
    _heads: dict[str, Tensor] = field(init=False, repr=False)  # what a layer's features are yet to be multiplied with
    _means: dict[str, Tensor] = field(init=False, repr=False)  # [styles, C, 1, 1] by layer
    _targets: dict[str, Tensor] = field(init=False, repr=False)  # [styles, C, C] by layer
    _roots: dict[str, Tensor] = field(init=False, repr=False)  # of the targets, for w2 only

    def __post_init__(self) -> None:
        self.network.check(self.settings.layers)
        s = self.settings
        # All losses are made of distances and inner products. The centred Gram matrix of a linear layer is that of what
        # goes into it, multiplied with its matrix, which is small.
        bare = set(s.style_layers) - set(s.content_layers) if s.style_loss == "gram" and s.centred else set()
        self.network, self._heads = self.network.condensed(bare)
        found = [self._statistics(style) for style in self.styles]
        layers = self.settings.style_layers
        self._means = {layer: torch.cat([means[layer] for means, _ in found]) for layer in layers}
        self._targets = {layer: torch.cat([grams[layer] for _, grams in found]) for layer in layers}
        w2 = self.settings.style_loss == "w2"
        self._roots = {layer: losses.ridged_root(self._targets[layer]) for layer in layers if w2}

    def content_targets(self, photo: Tensor) -> dict[str, Tensor]:
        """Features of ``photo`` ([N, 3, H, W]) at the content layers, without gradient."""
        with torch.no_grad():
            return self.network(photo, self.settings.content_layers)

    def __call__(
        self, image: Tensor, content_targets: dict[str, Tensor], which: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The weighted losses of ``image``: ``content``, ``style``, ``tv`` and their sum ``total``; scalars.

        ``which`` says which style each picture of the batch is to have, int64 [N]; the first one if not given.
        """
        s = self.settings
        features, grams = self._seen(image, {layer: _of(self._means[layer], which) for layer in s.style_layers})
        style = self._gram_loss(grams, which) if s.style_loss == "gram" else self._w2_loss(features, grams, which)
        found = {
            "content": s.content_weight * losses.content_loss(features, content_targets, s.content_weights_by_layer),
            "style": s.style_weight * style,
            "tv": s.tv_weight * losses.total_variation(image, s.tv_exponent),
        }
        return found | {"total": torch.stack([*found.values()]).sum()}

    def _seen(self, image: Tensor, means: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The features of all layers, and the Gram matrices of those in ``means``."""
        found: dict[str, Tensor] = {}

        def relu(layer: str, before: Tensor) -> Tensor:
            if layer not in means:
                return plain_relu(layer, before)
            after, found[layer] = losses.relu_and_gram_matrix(
                before, self._centre(means[layer]), self._heads.get(layer)
            )
            return after

        features = self.network(image, self.settings.layers, relu)
        before_relu = {layer: mean for layer, mean in means.items() if layer not in found}
        return features, found | self._grams(features, before_relu)

    def _gram_loss(self, grams: Mapping[str, Tensor], which: Tensor | None) -> Tensor:
        targets = {layer: _of(self._targets[layer], which) for layer in self.settings.style_layers}
        return losses.style_loss(grams, targets, self.settings.weights_by_layer)

    def _w2_loss(self, features: Mapping[str, Tensor], grams: Mapping[str, Tensor], which: Tensor | None) -> Tensor:
        errors = []
        for layer, weight in self.settings.weights_by_layer.items():
            target_mean = _of(self._means[layer], which)
            difference = (features[layer].mean((2, 3), keepdim=True) - target_mean).flatten(1)
            # Centred at the style's mean, which is near: the mean's own square would swallow the covariance's digits.
            covariance = grams[layer] - difference[:, :, None] * difference[:, None, :]
            target = _of(self._targets[layer], which), _of(self._roots[layer], which)
            mean = target_mean.flatten(1)
            errors.append(weight * losses.wasserstein_2(mean + difference, covariance, mean, *target))
        return torch.stack(errors).sum()

    def _statistics(self, style: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The mean features and the Gram matrices of a style, by layer."""
        height, width = style.shape[-2:]
        if min(height, width) < SMALLEST_SIDE:
            raise StyleError(
                _(
                    "At this size the style picture is {width}x{height} pixels, and its shorter side needs "
                    "{least}; make it larger or choose a less narrow one."
                ).format(width=width, height=height, least=SMALLEST_SIDE)
            )
        if style.flatten(2).std(2).max() < 1 / 255:
            raise StyleError(_("The style picture is all of one colour; choose one with strokes or texture."))
        with torch.no_grad():
            features = self.network(style, self.settings.style_layers)
            means = {layer: value.mean((2, 3), keepdim=True) for layer, value in features.items()}
            return means, self._grams(features, means)

    def _grams(self, features: Mapping[str, Tensor], means: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Gram matrices of the layers in ``means``."""
        return {
            layer: losses.gram_matrix(features[layer], self._centre(mean), self._heads.get(layer))
            for layer, mean in means.items()
        }

    def _centre(self, mean: Tensor) -> Tensor | None:
        """What is subtracted from features whose style has this mean, before their Gram matrix is taken."""
        return mean if self.settings.centred else None


def _of(values: Tensor, which: Tensor | None) -> Tensor:
    """Those of these styles, in this order; the first one's, for every picture of a batch, if none are named."""
    return values[:1] if which is None else values[which.to(values.device)]


@dataclass
class RowsObjective:
    """The objectives of several rows, or of mixtures of them, in one look of the feature network.

    ``rows`` may differ in their weights and content layers. ``styles`` as for ``Objective``.
    """

    network: FeatureNetwork
    rows: Sequence[ObjectiveSettings]
    styles: Sequence[Tensor]
    _all: Objective = field(init=False, repr=False)
    _weights: dict[str, Tensor] = field(init=False, repr=False)  # [rows, layers], or [rows] for tv, by kind

    def __post_init__(self) -> None:
        first = self.rows[0]
        for row in self.rows:
            if (row.style_layers, row.style_loss, row.centred, row.tv_exponent) != (
                first.style_layers,
                "gram",
                first.centred,
                first.tv_exponent,
            ):
                raise StyleError("The rows of a style may differ in weights and content layers alone.")
        content = tuple(dict.fromkeys(layer for row in self.rows for layer in row.content_layers))
        self._all = Objective(
            self.network, replace(first, content_layers=content, content_layer_weights=(), nearby_layers=()), self.styles
        )
        tables: dict[str, list[list[float]]] = {
            "content": [
                [
                    row.content_weight * row.content_weights_by_layer.get(layer, 0.0)
                    / sum(row.content_weights_by_layer.values())
                    for layer in content
                ]
                for row in self.rows
            ],
            "style": [[row.style_weight * w for w in row.weights_by_layer.values()] for row in self.rows],
            "mean": [
                [row.mean_weight * w for w in row.weights_by_layer.values()] for row in self.rows
            ],
            "tv": [[row.tv_weight] for row in self.rows],
        }
        device = self.styles[0].device
        self._weights = {kind: torch.tensor(table, device=device) for kind, table in tables.items()}

    def content_targets(self, photo: Tensor) -> dict[str, Tensor]:
        """As ``Objective.content_targets``, of all rows' layers."""
        return self._all.content_targets(photo)

    def __call__(
        self, image: Tensor, content_targets: dict[str, Tensor], which: Tensor, mixture: Tensor
    ) -> dict[str, Tensor]:
        """The weighted losses; ``which`` ([N]) says which style each picture has, ``mixture`` ([N, rows]) which row."""
        s, o = self._all.settings, self._all
        means = {layer: _of(o._means[layer], which) for layer in s.style_layers}
        features, grams = o._seen(image, means)
        weights = {kind: mixture @ table for kind, table in self._weights.items()}
        pictures = range(len(image))
        found = {
            "content": _weighted(features, content_targets, s.content_layers, weights["content"]),
            "style": _weighted(grams, {k: _of(o._targets[k], which) for k in s.style_layers}, s.style_layers, weights["style"]),
            "tv": torch.stack(
                [weights["tv"][n, 0] * losses.total_variation(image[n : n + 1], s.tv_exponent) for n in pictures]
            ).mean(),
        }
        if self._weights["mean"].any():
            own = {layer: _mean(features[layer]) for layer in s.style_layers}
            targets = {layer: mean.flatten(1).float() for layer, mean in means.items()}
            found["mean"] = _weighted(own, targets, s.style_layers, weights["mean"])
        return found | {"total": torch.stack([*found.values()]).sum()}


def _weighted(
    values: Mapping[str, Tensor], targets: Mapping[str, Tensor], layers: Sequence[str], weights: Tensor
) -> Tensor:
    """The sum over ``layers`` of the relative square errors, each picture's times its weight for that layer."""
    return torch.stack(
        [
            losses.relative_square_error(values[layer], targets[layer], weights[:, number])
            for number, layer in enumerate(layers)
        ]
    ).sum()


def _mean(features: Tensor) -> Tensor:
    """The mean over the pixels of [N, C, H, W], [N, C] in float32.

    As a product, whose gradient comes in the order that the features have, channels last; that of PyTorch's mean does
    not, and adding it took a processor a sixth of a step.
    """
    pixels = features.permute(0, 2, 3, 1).flatten(1, 2)
    return (pixels.new_full((len(pixels), 1, pixels.shape[1]), 1 / pixels.shape[1]) @ pixels)[:, 0].float()
