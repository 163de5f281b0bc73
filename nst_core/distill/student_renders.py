"""Pictures that a feature network under training is painting itself, for it to learn from.

An optimiser moves a picture to wherever the network's answers please it, which is where they are wrong: features that
agree on photos and paintings may still be far off there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import IterativeSettings
from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.base.training_settings import DistillSettings
from nst_core.features.network import FeatureNetwork
from nst_core.losses.objective import Objective
from nst_core.pictures.photos import PictureSource
from nst_core.pictures.views import random_view

# From a photo to a picture that has most of its style.
ROUND = 60
LEARNING_RATE = 0.02
LEAST_CROP = 0.6
SHIFT = IterativeSettings().shift


class StudentRenders:
    """``settings.rendered`` photos, each being painted in the style of a painting: a step of Adam in a training step.

    After ``ROUND`` of them come new ones.
    """

    def __init__(
        self, photos: PictureSource, paintings: PictureSource, settings: DistillSettings, device: torch.device
    ) -> None:
        self.photos, self.paintings, self.settings, self.device = photos, paintings, settings, device
        self._restart(torch.zeros(settings.rendered, 3, settings.crop, settings.crop, device=device))

    def of_step(self, step: int, student: FeatureNetwork) -> Tensor:
        """The pictures as they are in ``step`` (from 1 on), [rendered, 3, crop, crop] in 0..1.

        ``student`` answers on its teacher's scale, and its weights take no gradient.
        """
        settings, count = self.settings, self.settings.rendered
        if count == 0:
            return self.image.detach()
        number, before = divmod(step - 1, ROUND)
        photos, paintings = (
            source.batch(number, count, settings.crop, settings.seed + 1, LEAST_CROP).to(self.device)
            for source in (self.photos, self.paintings)
        )
        if before == 0:
            self._restart(photos)
        # As a render sees them; what a network only gets wrong in one view misleads none.
        view = random_view(SHIFT, settings.seed, step)
        try:
            objective = Objective(student, ObjectiveSettings(), view.of(paintings).split(1))
        except StyleError:  # a crop that is all of one colour
            return photos
        with torch.autocast(self.device.type, torch.bfloat16, enabled=settings.mixed_precision):
            which = torch.arange(count, device=self.device)
            loss = objective(view.of(self.image), objective.content_targets(view.of(photos)), which)["total"]
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            return self.image.clamp_(0, 1).clone()

    def state_dict(self) -> dict[str, Any]:
        return {"image": self.image.detach(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._restart(state["image"].to(self.device))
        self.optimizer.load_state_dict(state["optimizer"])

    def _restart(self, image: Tensor) -> None:
        self.image = image.clone().requires_grad_(True)
        self.optimizer = torch.optim.Adam([self.image], LEARNING_RATE)
