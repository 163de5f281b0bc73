"""A study of one render: its pictures and its losses, iteration by iteration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nst_core.base.iterative_settings import IterativeSettings
from nst_core.losses.objective import Objective
from nst_core.studies.sheets import Findings, Row, Sheet
from nst_core.studies.study_renders import StudyInputs, StudyRenders, cell, describe

LOSS_POINTS = 50


def losses(inputs: StudyInputs, settings: IterativeSettings) -> Findings:
    """Show one render step by step: its pictures, and all its losses with those of each style layer."""
    steps = settings.iterations
    sheet_iterations = sorted({n for n in (5, 10, steps // 4, steps // 2, steps) if 0 < n <= steps})
    points = sorted({round(n) for n in np.linspace(1, steps, min(steps, LOSS_POINTS))} | set(sheet_iterations))
    renders = StudyRenders(inputs, steps)
    photo, style = inputs.pair(settings)
    judge = inputs.judge(settings)
    measure = _losses_by_layer(inputs, settings, photo, style)
    run = renders.render("render", settings, keep=points)
    kept = {0: photo, **run.kept}
    table: list[dict[str, float]] = [{"iteration": iteration, **measure(image)} for iteration, image in kept.items()]
    shown = [0, *sheet_iterations]
    row_of = {row["iteration"]: row for row in table}
    cells = [cell(kept[n], f"total {row_of[n]['total']:.3f}\ncontent {row_of[n]['content']:.3f}") for n in shown]
    rows: list[Row] = [{**row_of[n], **judge(kept[n])} for n in shown]
    title = f"A render step by step, {describe(inputs, settings)}"
    return Findings(Sheet(title, [f"iteration {n}" for n in shown], [("", cells)]), rows, table)


def _losses_by_layer(
    inputs: StudyInputs, settings: IterativeSettings, photo: Tensor, style: Tensor
) -> Callable[[Tensor], dict[str, float]]:
    """Return a function from a picture to its weighted losses, and those of each style layer by ``style LAYER``."""
    objective = Objective(inputs.network, settings.objective, [style])
    targets = objective.content_targets(photo)
    # Each style layer with its weight in that objective.
    single = {}
    for layer, weight in settings.objective.weights_by_layer.items():
        only = replace(
            settings.objective,
            content_layers=(layer,),
            content_layer_weights=(),
            style_layers=(layer,),
            style_layer_weights=(weight,),
        )
        one = Objective(inputs.network, only, [style])
        single[f"style {layer}"] = (one, one.content_targets(photo))

    @torch.no_grad()
    def measure(image: Tensor) -> dict[str, float]:
        total = {name: value.item() for name, value in objective(image, targets).items()}
        return total | {name: one(image, own)["style"].item() for name, (one, own) in single.items()}

    return measure
