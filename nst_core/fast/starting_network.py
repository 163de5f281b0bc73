"""Choose the trained network that a new training begins with.

A network that has learned other styles learns a new one much sooner than one from scratch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nst_core.base.training_settings import TrainSettings
from nst_core.fast.style_pictures import prepare_style_picture
from nst_core.fast.transformer import TransformerNetwork, paint_every_row
from nst_core.features.network import FeatureNetwork
from nst_core.losses.objective import Objective


@dataclass(frozen=True)
class StartingNetwork:
    """A trained network that another training may begin with.

    Attributes:
        steps: the number of steps that it has been trained for in all.
        names: its styles' names, in order; or the file's name, if they have none.
        styles: for each new style, which of the network's styles it begins as; None as in
            ``TransformerNetwork.start_from``.
    """

    network: TransformerNetwork
    steps: int
    names: tuple[str, ...]
    styles: tuple[int, ...] | None = None

    @property
    def title(self) -> str:
        """The names of the styles that the training begins with, each once."""
        names = self.names if self.styles is None else [self.names[style] for style in self.styles]
        return ", ".join(dict.fromkeys(names))


@torch.no_grad()
def nearest_start(
    candidates: Sequence[StartingNetwork],
    styles: Sequence[Tensor],
    photo: Tensor,
    features: FeatureNetwork,
    settings: TrainSettings,
) -> StartingNetwork:
    """Return the candidate whose styles are nearest to the new ``styles``, with the nearest of them as its ``styles``.

    A style's distance is the style loss of its bold painting of ``photo`` ([1, 3, h, w]), as the training measures it.
    The candidate with the least sum over ``styles`` ([1, 3, h, w] each) wins. Every picture is RGB, sRGB-encoded 0..1.
    """
    styles = [prepare_style_picture(style, settings) for style in styles]
    objective = Objective(features.to(photo.device), settings.objective, styles)
    content = objective.content_targets(photo)
    targets = torch.arange(len(styles), device=photo.device).split(1)
    choices = []
    for candidate in candidates:
        rows_per_style = candidate.network.settings.rows_per_style
        paintings = paint_every_row(candidate.network.to(photo.device), photo)[rows_per_style - 1 :: rows_per_style]
        losses = torch.tensor(
            [[objective(painting, content, target)["style"] for painting in paintings] for target in targets]
        )
        least, nearest = losses.min(1)
        choices.append((least.sum().item(), replace(candidate, styles=tuple(nearest.tolist()))))
    return min(choices, key=lambda choice: choice[0])[1]
