"""Shared by the studies: their inputs, their renders as one piece of work, and the labels of their sheets.

A study is a function from ``StudyInputs`` and settings to ``Findings`` (see registry.py). Most of them render with some
losses switched off, from a special start, or several times. All raise StyleError as ``render`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from nst_core.base.iterative_settings import IterativeSettings
from nst_core.features.network import FeatureNetwork
from nst_core.iterative.render import IterativeProgress, render
from nst_core.iterative.stages import plan_stages
from nst_core.losses.metrics import PictureMetrics
from nst_core.pictures.resize import resized_to_area, resized_to_long_side
from nst_core.studies.sheets import Cell

CONTENT_WEIGHTS = (0.01, 0.1, 1.0, 10.0)
OPTIMIZER_NAMES = {"lbfgs": "L-BFGS", "adam": "Adam", "sgd": "gradient descent"}


@dataclass(frozen=True)
class StudyProgress:
    """Reported after every iteration of a study.

    Attributes:
        label: the render that is under way.
        done, total: iterations of the whole study, done and in all.
        losses: weighted, by name, before the iteration.
    """

    label: str
    done: int
    total: int
    losses: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class StudyInputs:
    """The inputs of a study.

    Attributes:
        photo, style: [1, 3, h, w] in 0..1; the same for a study of one picture.
        content_weights: those that the study ``weights`` compares.
    """

    photo: Tensor
    style: Tensor
    network: FeatureNetwork
    progress: Callable[[StudyProgress], None]
    content_weights: Sequence[float] = CONTENT_WEIGHTS

    def pair(self, settings: IterativeSettings) -> tuple[Tensor, Tensor]:
        """Return photo and style picture at the sizes that a render gives them."""
        photo = resized_to_long_side(self.photo, settings.size)
        h, w = photo.shape[-2:]
        return photo, resized_to_area(self.style, settings.style_scale * (h * w) ** 0.5)

    def judge(self, settings: IterativeSettings) -> PictureMetrics:
        """Return the metrics of a result against both pictures at the layers of ``settings``."""
        objective = settings.objective
        return PictureMetrics(self.network, *self.pair(settings), objective.content_layers, objective.style_layers)


@dataclass(frozen=True)
class StudyRender:
    """One render of a study.

    Attributes:
        image: the result, [1, 3, h, w].
        losses: the weighted losses before each iteration, with its number (0-based) as ``iteration``.
        kept: the pictures after the requested iterations (1-based).
    """

    image: Tensor
    losses: list[dict[str, float]]
    kept: dict[int, Tensor]


@dataclass
class StudyRenders:
    """Several renders of ``total`` iterations as one piece of work."""

    inputs: StudyInputs
    total: int
    _done: int = field(default=0, init=False)

    def render(
        self,
        label: str,
        settings: IterativeSettings,
        *,
        network: FeatureNetwork | None = None,
        photo: Tensor | None = None,
        keep: Iterable[int] = (),
    ) -> StudyRender:
        """Render with the photo and network of the inputs, unless others are given; ``keep`` names iterations."""
        losses: list[dict[str, float]] = []
        kept: dict[int, Tensor] = {}
        kept_iterations = set(keep)

        def progress(step: IterativeProgress) -> bool:
            losses.append({"iteration": step.iteration - 1, **step.losses})
            if step.iteration in kept_iterations:
                kept[step.iteration] = step.image.clone()
            self._done += 1
            self.inputs.progress(StudyProgress(label, self._done, self.total, step.losses))
            return True

        inputs = self.inputs
        photo = inputs.photo if photo is None else photo
        done = render(photo, inputs.style, network or inputs.network, settings, progress)
        return StudyRender(done.image, losses, kept)


def side_by_side(runs: Sequence[tuple[str, Sequence[Mapping[str, float]]]]) -> list[dict[str, float]]:
    """Return the total losses of several renders of equal length as columns, by the names of the renders."""
    return [
        {
            "iteration": steps[0]["iteration"],
            **{name: step["total"] for (name, _), step in zip(runs, steps, strict=True)},
        }
        for steps in zip(*(run for _, run in runs), strict=True)
    ]


def describe(inputs: StudyInputs, settings: IterativeSettings) -> str:
    """Return a phrase on how the pictures of a study were made: iterations, optimisers, feature network and size."""
    plan = plan_stages(inputs.network, settings, 1, 1)
    optimizers = " and ".join(dict.fromkeys(OPTIMIZER_NAMES[stage.optimizer] for stage in plan))
    return f"{settings.iterations} iterations of {optimizers} with {inputs.network.name} at {settings.size} px"


def name_of_layers(layers: Sequence[str]) -> str:
    """Return the first and the last of consecutive layers, or the one layer there is."""
    return layers[0] if len(layers) == 1 else f"{layers[0]} to {layers[-1]}"


def short_caption(metrics: Mapping[str, float]) -> str:
    """Return the content metric and the mean of the style metrics on two lines."""
    styles = [value for name, value in metrics.items() if name.startswith("style_")]
    return f"content {metrics['content']:.2f}\nstyle {sum(styles) / len(styles):.2f}"


def cell(image: Tensor, caption: str = "") -> Cell:
    """Return a picture for a sheet from [1, 3, h, w] in 0..1."""
    picture = (image[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return Cell(np.ascontiguousarray(picture), caption)
