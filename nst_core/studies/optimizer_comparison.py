"""A study of the three optimisers after equal iterations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from nst_core.base.iterative_settings import IterativeSettings
from nst_core.losses.objective import Objective
from nst_core.studies.sheets import Findings, Row, Sheet
from nst_core.studies.study_renders import StudyInputs, StudyRenders, cell, side_by_side

RATES = (0.003, 0.01, 0.03, 0.1, 0.3)


def optimizers(inputs: StudyInputs, settings: IterativeSettings) -> Findings:
    """Compare gradient descent, Adam with step decay and L-BFGS after equal iterations of the same render.

    Gradient descent and Adam each take the one of RATES that gets furthest in a quarter of the iterations, with the
    schedule compressed; L-BFGS takes whole steps. These trials do not count among the iterations.
    """
    steps = settings.iterations
    trial = max(1, steps // 4)
    # The picture stays in place for all three, as L-BFGS requires.
    still = replace(settings, shift=0)
    descent, adam = replace(still, optimizer="sgd"), replace(still, optimizer="adam", schedule="step")
    renders = StudyRenders(inputs, 2 * len(RATES) * trial + 3 * steps)
    loss, judge = _total_loss(inputs, settings), inputs.judge(settings)

    def at_its_best_rate(name: str, base: IterativeSettings) -> IterativeSettings:
        def loss_at(rate: float) -> float:
            tried = replace(base, learning_rate=rate, iterations=trial)
            return loss(renders.render(f"{name}, rate {rate:g}", tried).image)

        return replace(base, learning_rate=min(RATES, key=loss_at))

    chosen = {
        "gradient descent": at_its_best_rate("gradient descent", descent),
        "Adam, step decay": at_its_best_rate("Adam", adam),
        "L-BFGS": replace(still, optimizer="lbfgs"),
    }
    kept_iterations = sorted({max(1, steps // 20), max(1, steps // 5), max(1, steps // 2), steps})
    rows, sheet_rows, losses = list[Row](), [], []
    for name, chosen_settings in chosen.items():
        run = renders.render(name, chosen_settings, keep=kept_iterations)
        losses.append((name, run.losses))
        cells = []
        for iteration, image in run.kept.items():
            total = loss(image)
            cells.append(cell(image, f"loss {total:.3f}"))
            rows.append({"optimizer": name, "iterations": iteration, "loss": total, **judge(image)})
        sheet_rows.append(
            (name if chosen_settings.optimizer == "lbfgs" else f"{name}\nrate {chosen_settings.learning_rate:g}", cells)
        )
    title = f"Optimisers at equal iterations from the photo, with {inputs.network.name} at {settings.size} px"
    columns = [f"{iteration} iteration{'s' * (iteration > 1)}" for iteration in kept_iterations]
    return Findings(Sheet(title, columns, sheet_rows), rows, side_by_side(losses))


def _total_loss(inputs: StudyInputs, settings: IterativeSettings) -> Callable[[Tensor], float]:
    """Return a function from a picture to its loss, without gradient."""
    photo, style = inputs.pair(settings)
    objective = Objective(inputs.network, settings.objective, [style])
    targets = objective.content_targets(photo)

    def loss(image: Tensor) -> float:
        with torch.no_grad():
            return objective(image, targets)["total"].item()

    return loss
