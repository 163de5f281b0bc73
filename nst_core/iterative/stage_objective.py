"""The objective of one stage of a render: photo and style picture at its size, in a new view for each iteration."""

from __future__ import annotations

import torch
from torch import Tensor

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import IterativeSettings
from nst_core.base.language import _
from nst_core.devices import computes_in_bfloat16
from nst_core.features.network import SMALLEST_PICTURE_SIDE, FeatureNetwork
from nst_core.iterative.stages import Stage
from nst_core.losses.objective import Objective
from nst_core.pictures.resize import resized_to_area, resized_to_long_side
from nst_core.pictures.views import random_view


class StageObjective:
    """Evaluates the objective of one stage. Raises StyleError if the photo is too narrow at its size.

    Attributes:
        photo: the photo at the size of the stage, [1, 3, H, W].
    """

    def __init__(
        self, photo: Tensor, style: Tensor, features: FeatureNetwork, settings: IterativeSettings, stage: Stage
    ) -> None:
        self.photo = resized_to_long_side(photo, stage.size)
        h, w = self.photo.shape[-2:]
        if min(h, w) < SMALLEST_PICTURE_SIDE:
            raise StyleError(
                _(
                    "At a size of {size} the photo is {w}x{h} pixels, and its shorter side needs {least}; "
                    "give a larger size or a less narrow photo."
                ).format(size=stage.size, w=w, h=h, least=SMALLEST_PICTURE_SIDE)
            )
        self.shift, self.seed = 0 if stage.optimizer == "lbfgs" else settings.shift, settings.seed
        self.in_bfloat16 = uses_bfloat16(settings, photo.device)
        style = resized_to_area(style, settings.style_scale * (h * w) ** 0.5)
        with self._precision():
            self.objective = Objective(features, settings.objective, [style])
            self.mirrored = Objective(features, settings.objective, [style.flip(3)]) if self.shift else self.objective
            self.targets = {} if self.shift else self.objective.content_targets(self.photo)

    def __call__(self, image: Tensor, iteration: int) -> dict[str, Tensor]:
        """Return the weighted losses of ``image``, [1, 3, H, W], in the view of this iteration (0-based)."""
        with self._precision():
            if not self.shift:
                return self.objective(image, self.targets)
            view = random_view(self.shift, self.seed, iteration)
            objective = self.mirrored if view.mirrored else self.objective
            return objective(view.of(image), objective.content_targets(view.of(self.photo)))

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.photo.device.type, torch.bfloat16, enabled=self.in_bfloat16)


def uses_bfloat16(settings: IterativeSettings, device: torch.device) -> bool:
    """Return whether ``settings`` ask for bfloat16, or leave it open on a device that is made for it."""
    return settings.precision == "bfloat16" or (settings.precision == "auto" and computes_in_bfloat16(device))
