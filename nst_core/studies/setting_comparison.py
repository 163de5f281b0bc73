"""Studies that compare the same render with different values of a setting: weights, pooling and start."""

from __future__ import annotations

import copy
from dataclasses import replace

from nst_core.base.iterative_settings import STARTS, IterativeSettings
from nst_core.features.network import FeatureNetwork
from nst_core.features.vgg import VGGNetwork
from nst_core.iterative.render import first_picture
from nst_core.pictures.resize import resized_to_long_side
from nst_core.studies.sheets import Cell, Findings, Row, Sheet
from nst_core.studies.study_renders import (
    StudyInputs,
    StudyRenders,
    cell,
    describe,
    name_of_layers,
    short_caption,
    side_by_side,
)


def weights(inputs: StudyInputs, settings: IterativeSettings) -> Findings:
    """Compare content weights across and style layers down, after figure 3 of Gatys et al. 2015."""
    layers, by_layer = settings.objective.style_layers, settings.objective.weights_by_layer
    depths = sorted({1, (len(layers) + 1) // 2, len(layers)})
    renders = StudyRenders(inputs, len(depths) * len(inputs.content_weights) * settings.iterations)
    judge = inputs.judge(settings)
    rows, sheet_rows = list[Row](), []
    for depth in depths:
        chosen = layers[:depth]
        name = name_of_layers(chosen)
        cells = []
        for weight in inputs.content_weights:
            objective = replace(
                settings.objective,
                content_weight=weight,
                style_layers=chosen,
                style_layer_weights=tuple(by_layer[layer] for layer in chosen),
            )
            run = renders.render(f"{name}, content {weight:g}", replace(settings, objective=objective))
            metrics = judge(run.image)
            cells.append(cell(run.image, short_caption(metrics)))
            rows.append({"style_layers": name, "content_weight": weight, "loss": run.losses[-1]["total"], **metrics})
        sheet_rows.append((f"style layers {name}", cells))
    title = f"Content weights across, style layers down, {describe(inputs, settings)}"
    style_weight = settings.objective.style_weight
    columns = [f"content {weight:g} to style {style_weight:g}" for weight in inputs.content_weights]
    return Findings(Sheet(title, columns, sheet_rows), rows)


def pooling(inputs: StudyInputs, settings: IterativeSettings) -> Findings:
    """Compare maximum and average pooling in the same render; the metrics use the network as it was given."""
    renders = StudyRenders(inputs, 2 * settings.iterations)
    photo, style = inputs.pair(settings)
    judge = inputs.judge(settings)
    rows, cells, losses = list[Row](), [cell(photo), cell(style)], []
    for name in ("max", "average"):
        run = renders.render(f"{name} pooling", settings, network=_with_pooling(inputs.network, name))
        metrics = judge(run.image)
        cells.append(cell(run.image, short_caption(metrics)))
        rows.append({"pooling": name, "loss": run.losses[-1]["total"], **metrics})
        losses.append((f"{name} pooling", run.losses))
    columns = ["photo", "style picture", "maximum pooling", "average pooling"]
    title = f"Maximum and average pooling, {describe(inputs, settings)}"
    return Findings(Sheet(title, columns, [("", cells)]), rows, side_by_side(losses))


def starts(inputs: StudyInputs, settings: IterativeSettings) -> Findings:
    """Compare the same render started from noise, from the photo and from the style picture."""
    photo = resized_to_long_side(inputs.photo, settings.size)
    renders = StudyRenders(inputs, len(STARTS) * settings.iterations)
    judge = inputs.judge(settings)
    rows, begun, cells, losses = list[Row](), list[Cell](), list[Cell](), []
    for start in STARTS:
        name, chosen = f"from {start}", replace(settings, start=start)
        run = renders.render(name, chosen)
        metrics, total = judge(run.image), run.losses[-1]["total"]
        cells.append(cell(run.image, f"loss {total:.3f}\n{short_caption(metrics)}"))
        begun.append(cell(first_picture(photo, inputs.style, chosen)))
        rows.append({"start": start, "loss": total, **metrics})
        losses.append((name, run.losses))
    sheet_rows = [("the start", begun), ("the result", cells)]
    title = f"Starts compared, {describe(inputs, settings)}"
    return Findings(Sheet(title, [name for name, _ in losses], sheet_rows), rows, side_by_side(losses))


def _with_pooling(network: FeatureNetwork, pooling: str) -> FeatureNetwork:
    """Return a copy of the network with this pooling."""
    twin = copy.deepcopy(network)
    for module in twin.modules():
        if isinstance(module, VGGNetwork):
            module.pooling = pooling
    return twin
