"""Pictures that a feature network paints while it is trained, and learns from.

An optimiser moves a picture to where the network's features are wrong. These may agree with the teacher's on photos and
paintings, and still be far off there.
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
from nst_core.pictures.photos import LEAST_CROP, PictureSource
from nst_core.pictures.views import random_view

# Steps from a photo to a picture that has most of its style.
STEPS_PER_RENDER = 60
LEARNING_RATE = 0.02
SHIFT = IterativeSettings().shift


class StudentRenders:
    """``settings.rendered`` photos, each being painted in the style of a painting, with one step of Adam per step.

    New photos and paintings replace them after ``STEPS_PER_RENDER`` steps.
    """

    def __init__(
        self, photos: PictureSource, paintings: PictureSource, settings: DistillSettings, device: torch.device
    ) -> None:
        self.photos, self.paintings, self.settings, self.device = photos, paintings, settings, device
        self._restart(torch.zeros(settings.rendered, 3, settings.crop, settings.crop, device=device))

    def step(self, number: int, student: FeatureNetwork) -> Tensor:
        """Paint one step further, and return the pictures, [rendered, 3, crop, crop] in 0..1.

        ``number`` is that of the training step (1-based). ``student`` predicts in its teacher's units, and its weights
        take no gradient.
        """
        settings, count = self.settings, self.settings.rendered
        if count == 0:
            return self.image.detach()
        render, steps_before = divmod(number - 1, STEPS_PER_RENDER)
        photos, paintings = (
            source.batch(render, count, settings.crop, settings.seed + 1, LEAST_CROP).to(self.device)
            for source in (self.photos, self.paintings)
        )
        if steps_before == 0:
            self._restart(photos)
        # A new view at each step, as in a render, so an error of the network in one view cannot lead it astray.
        view = random_view(SHIFT, settings.seed, number)
        try:
            objective = Objective(student, ObjectiveSettings(), view.of(paintings).split(1))
        except StyleError:  # a crop of one colour
            return photos
        with torch.autocast(self.device.type, torch.bfloat16, enabled=settings.mixed_precision):
            style_indices = torch.arange(count, device=self.device)
            loss = objective(view.of(self.image), objective.content_targets(view.of(photos)), style_indices)["total"]
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            return self.image.clamp_(0, 1).clone()

    def state_dict(self) -> dict[str, Any]:
        """Return what ``load_state_dict`` resumes from."""
        return {"image": self.image.detach(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state of ``state_dict``."""
        self._restart(state["image"].to(self.device))
        self.optimizer.load_state_dict(state["optimizer"])

    def _restart(self, image: Tensor) -> None:
        self.image = image.clone().requires_grad_(True)
        self.optimizer = torch.optim.Adam([self.image], LEARNING_RATE)
