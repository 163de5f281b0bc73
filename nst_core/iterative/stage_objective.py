"""The objective of one stage of a render: photo and style picture at its size, in a new view for each iteration."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import IterativeSettings
from nst_core.base.language import _
from nst_core.devices import computes_in_bfloat16
from nst_core.features.network import SMALLEST_PICTURE_SIDE, FeatureNetwork
from nst_core.iterative.stages import Stage
from nst_core.losses.guided_objective import GuidedObjective, StyleGuide
from nst_core.losses.objective import Objective
from nst_core.pictures.resize import resized_to_area, resized_to_long_side
from nst_core.pictures.views import View, random_view


class StageObjective:
    """Evaluates the objective of one stage. Raises StyleError if the photo is too narrow at its size.

    With ``guides``, the regions of the photo have their styles, and ``style`` has none.

    Attributes:
        photo: the photo at the size of the stage, [1, 3, H, W].
    """

    def __init__(
        self,
        pictures: tuple[Tensor, Tensor],
        features: FeatureNetwork,
        settings: IterativeSettings,
        stage: Stage,
        guides: Sequence[StyleGuide] = (),
    ) -> None:
        photo, style = pictures
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
        style_size = settings.style_scale * (h * w) ** 0.5
        guides = [guide.resized(h, w, resized_to_area(guide.style, style_size)) for guide in guides]
        self.masks = torch.cat([guide.mask for guide in guides], 1) if guides else None
        style = resized_to_area(style, style_size)

        def objective(mirrored: bool) -> Objective | GuidedObjective:
            if guides:
                shown = [guide.mirrored() if mirrored else guide for guide in guides]
                return GuidedObjective(features, settings.objective, shown)
            return Objective(features, settings.objective, [style.flip(3) if mirrored else style])

        with self._precision():
            self.objective = objective(mirrored=False)
            self.mirrored = objective(mirrored=True) if self.shift else self.objective
            self.targets = {} if self.shift else self.objective.content_targets(self.photo)

    def __call__(self, image: Tensor, iteration: int) -> dict[str, Tensor]:
        """Return the weighted losses of ``image``, [1, 3, H, W], in the view of this iteration (0-based)."""
        with self._precision():
            if not self.shift:
                return self._losses(self.objective, image, self.targets, View())
            view = random_view(self.shift, self.seed, iteration)
            objective = self.mirrored if view.mirrored else self.objective
            return self._losses(objective, view.of(image), objective.content_targets(view.of(self.photo)), view)

    def _losses(
        self, objective: Objective | GuidedObjective, image: Tensor, targets: dict[str, Tensor], view: View
    ) -> dict[str, Tensor]:
        if isinstance(objective, Objective):
            return objective(image, targets)
        assert self.masks is not None  # as for every guided objective
        return objective(image, targets, view.of(self.masks))

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.photo.device.type, torch.bfloat16, enabled=self.in_bfloat16)


def uses_bfloat16(settings: IterativeSettings, device: torch.device) -> bool:
    """Return whether ``settings`` ask for bfloat16, or leave it open on a device that is made for it."""
    return settings.precision == "bfloat16" or (settings.precision == "auto" and computes_in_bfloat16(device))
