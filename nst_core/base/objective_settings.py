"""The settings of the objective: which layers and losses count, and how much. Loads without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from nst_core.base.errors import StyleError, check_choice

GATYS_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
POOLINGS = ("max", "average")
STYLE_LOSSES = ("gram", "w2")

# The smallest and the largest sensible value of each number.
OBJECTIVE_RANGES: dict[str, tuple[float, float]] = {
    "content_weight": (0.0, 1e6),
    "style_weight": (0.0, 1e6),
    "tv_weight": (0.0, 1e6),
    "tv_exponent": (1.0, 4.0),
}


@dataclass(frozen=True)
class ObjectiveSettings:
    """The layers, losses and weights of the objective.

    All feature losses are relative to the size of their target (see nst_core/losses/objective.py), so the same weights
    suit every picture size and every feature network. The content loss is the weighted mean over its layers, the style
    loss the weighted sum. Raises StyleError for settings that contradict one another.

    Attributes:
        content_layers: layers whose activations are compared with the photo's. The default, relu4_1, is a layer that
            every feature network here has (Gatys et al. use conv4_2).
        content_layer_weights: one weight for each of them; empty for 1 each.
        style_layers: layers whose statistics are compared with the style picture's. The default five are those of Gatys
            et al. 2015 (arXiv 1508.06576).
        style_layer_weights: one weight for each of them; empty for 1 each.
        style_loss: how styles are compared: ``gram`` by their Gram matrices, ``w2`` by the Wasserstein-2 distance
            between Gaussians with the means and covariances of the features.
        centred: subtract the style's mean activation from the features before their Gram matrix is computed (after
            Novak and Nikulin 2016, arXiv 1605.04603). Features after a ReLU are never negative, so those means make up
            most of a plain Gram matrix, and texture only a little. Large strokes, such as van Gogh's whorls, appear
            only with centred features.
        nearby_layers: layers that the first layer of the same block may replace if the feature network lacks them.
        content_weight: weight of the content loss.
        style_weight: weight of the style loss.
        tv_weight: weight of the total variation.
        tv_exponent: power to which the total variation raises the differences of neighbouring pixels.
    """

    content_layers: tuple[str, ...] = ("relu4_1",)
    content_layer_weights: tuple[float, ...] = ()
    style_layers: tuple[str, ...] = GATYS_STYLE_LAYERS
    style_layer_weights: tuple[float, ...] = ()
    style_loss: str = "gram"
    centred: bool = True
    nearby_layers: tuple[str, ...] = ()
    content_weight: float = 0.3
    style_weight: float = 1.0
    tv_weight: float = 0.3
    tv_exponent: float = 1.0

    def __post_init__(self) -> None:
        check_choice("style loss", self.style_loss, STYLE_LOSSES)
        _check_layers("content", self.content_layers, self.content_layer_weights)
        _check_layers("style", self.style_layers, self.style_layer_weights)
        if self.content_layer_weights and not any(self.content_layer_weights):
            raise StyleError("All content layers weigh 0; set the content weight to 0 instead.")
        if self.content_weight == self.style_weight == 0:
            raise StyleError("Content and style both weigh 0, so there is nothing to paint; give one of them a weight.")
        if self.style_loss == "w2" and not self.centred:
            raise StyleError("The style loss w2 compares covariances, which are always centred; leave centred on.")

    @property
    def layers(self) -> tuple[str, ...]:
        """Content and style layers, each once."""
        return tuple(dict.fromkeys(self.content_layers + self.style_layers))

    @property
    def content_weights_by_layer(self) -> dict[str, float]:
        """The weight of each content layer."""
        return _by_layer(self.content_layers, self.content_layer_weights)

    @property
    def weights_by_layer(self) -> dict[str, float]:
        """The weight of each style layer."""
        return _by_layer(self.style_layers, self.style_layer_weights)


def _check_layers(kind: str, layers: tuple[str, ...], weights: tuple[float, ...]) -> None:
    if len(set(layers)) < len(layers):
        raise StyleError(f"A {kind} layer is named twice ({', '.join(layers)}); name each once.")
    if weights and len(weights) != len(layers):
        raise StyleError(
            f"There are {len(layers)} {kind} layers and {len(weights)} weights for them; give one for each."
        )
    if any(not isfinite(weight) or weight < 0 for weight in weights):
        raise StyleError(f"A weight of the {kind} layers is negative or not a number; give 0 or more.")


def _by_layer(layers: tuple[str, ...], weights: tuple[float, ...]) -> dict[str, float]:
    return dict(zip(layers, weights or (1.0,) * len(layers), strict=True))
