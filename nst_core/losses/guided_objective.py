"""The objective of a picture whose regions have styles of their own (Gatys et al. 2017, arXiv 1611.07865)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.features.network import FeatureNetwork
from nst_core.losses.functional import content_loss, guided_gram_matrix
from nst_core.losses.loss_kernels import fused_square_error, fused_total_variation, recomputed_guided_gram_matrix
from nst_core.losses.objective import Objective


@dataclass(frozen=True, eq=False)
class StyleGuide:
    """A style picture, and where its style goes.

    Attributes:
        style: [1, 3, h, w], RGB, sRGB-encoded 0..1.
        mask: [1, 1, H, W] in 0..1, how much each pixel of the photo takes of the style.
        style_mask: [1, 1, h, w] in 0..1, the part of the style picture that counts; None for all of it.
        layer_weights: the style's weight at each style layer; None for 1 each, and 0 where a layer is missing.
    """

    style: Tensor
    mask: Tensor
    style_mask: Tensor | None = None
    layer_weights: Mapping[str, float] | None = None

    def weight_at(self, layer: str) -> float:
        """Return the style's weight at a style layer."""
        return 1.0 if self.layer_weights is None else self.layer_weights.get(layer, 0.0)

    def resized(self, height: int, width: int, style: Tensor) -> StyleGuide:
        """Return the guide of a photo of this size, with its style picture resized to ``style``."""
        style_mask = self.style_mask
        if style_mask is not None:
            style_mask = resized_by_area(style_mask, style.shape[-2], style.shape[-1])
        return replace(self, style=style, mask=resized_by_area(self.mask, height, width), style_mask=style_mask)

    def mirrored(self) -> StyleGuide:
        """Return the guide with its style picture turned left to right; the photo's mask stays."""
        style_mask = None if self.style_mask is None else self.style_mask.flip(3)
        return replace(self, style=self.style.flip(3), style_mask=style_mask)


def resized_by_area(masks: Tensor, height: int, width: int) -> Tensor:
    """Resize masks, [N, C, H, W], to the mean of what each cell covers. What sums to 1 still does."""
    return F.interpolate(masks, (height, width), mode="area")


@dataclass
class GuidedObjective:
    """Weighted content + style + total-variation loss with a style for each region.

    The masks are carried down to each layer by area, and the style loss of a region is that of its guided Gram
    matrices, weighted with the region's share of the picture: each pixel then counts as much as without regions.

    Raises StyleError as ``Objective`` does, for a style loss other than ``gram``, and for a style picture with an empty
    mask.
    """

    network: FeatureNetwork
    settings: ObjectiveSettings
    guides: Sequence[StyleGuide]
    _objective: Objective = field(init=False, repr=False)
    _means: dict[str, Tensor] = field(init=False, repr=False)  # [guides, C, 1, 1] by layer
    _targets: dict[str, Tensor] = field(init=False, repr=False)  # [guides, C, C] by layer

    def __post_init__(self) -> None:
        if self.settings.style_loss != "gram":
            raise StyleError(
                _("Regions and several paintings are compared by Gram matrices; choose the style loss gram.")
            )
        self._objective = Objective(self.network, self.settings, [guide.style for guide in self.guides])
        order = torch.arange(len(self.guides), device=self.guides[0].style.device)
        self._means, self._targets = self._objective.target_means(order), self._objective.target_grams(order)
        for number, guide in enumerate(self.guides):
            if guide.style_mask is not None:
                self._mask_style(number, guide.style, guide.style_mask)

    def content_targets(self, photo: Tensor) -> dict[str, Tensor]:
        """Compute the features of ``photo``, [1, 3, H, W], at the content layers, without gradient."""
        return self._objective.content_targets(photo)

    def __call__(self, image: Tensor, content_targets: dict[str, Tensor], masks: Tensor) -> dict[str, Tensor]:
        """Compute the weighted losses of ``image``, [1, 3, H, W]: ``content``, ``style``, ``tv`` and ``total``.

        ``masks``, [1, guides, H, W], are those of the guides in the view that ``image`` shows.
        """
        s = self.settings
        features = self._objective.network(image, s.layers)
        content = content_loss(features, content_targets, s.content_weights_by_layer, fused_square_error)
        style = torch.stack([w * self._layer_loss(layer, features, masks) for layer, w in s.weights_by_layer.items()])
        losses = {
            "content": s.content_weight * content,
            "style": s.style_weight * style.sum(),
            "tv": s.tv_weight * fused_total_variation(image, s.tv_exponent),
        }
        return losses | {"total": torch.stack([*losses.values()]).sum()}

    def _layer_loss(self, layer: str, features: Mapping[str, Tensor], masks: Tensor) -> Tensor:
        """Return the style loss of a layer, over all guides that have a weight there."""
        layer_weights = [guide.weight_at(layer) for guide in self.guides]
        active = [number for number, weight in enumerate(layer_weights) if weight]
        if not active:
            return masks.new_zeros(())
        weights = resized_by_area(masks[:, active], *features[layer].shape[-2:])[0]
        means, heads = self._means[layer][active], self._objective.heads
        centre = self._objective.centre(means)
        grams = recomputed_guided_gram_matrix(features[layer], weights, centre, heads.get(layer))
        shares = masks[0, active].mean((1, 2)) * masks.new_tensor([layer_weights[number] for number in active])
        # The error of a batch is a mean, and this is a sum over the guides.
        return fused_square_error(grams, self._targets[layer][active], shares * len(active))

    def _mask_style(self, number: int, style: Tensor, mask: Tensor) -> None:
        """Replace the statistics of a style picture by those of its masked part."""
        if mask.max() < 1 / 255:
            raise StyleError(
                _("The mask of a style picture is empty; give one that is white where its style is taken.")
            )
        with torch.no_grad():
            features = self._objective.network(style, self.settings.style_layers)
            for layer, values in features.items():
                weights = resized_by_area(mask, *values.shape[-2:])[0]
                mean = (values * weights).sum((2, 3), keepdim=True) / weights.sum()
                gram = guided_gram_matrix(values.float(), weights, self._objective.centre(mean))
                head = self._objective.heads.get(layer)
                self._means[layer][number] = mean[0]
                self._targets[layer][number] = gram[0] if head is None else head @ gram[0] @ head.T
