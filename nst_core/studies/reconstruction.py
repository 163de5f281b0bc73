"""Studies of what a layer keeps: a photo or a texture painted from noise, with the loss of some layers alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nst_core.base.iterative_settings import IterativeSettings
from nst_core.iterative.render import first_picture
from nst_core.losses.metrics import PictureMetrics
from nst_core.pictures.resize import resized_to_long_side
from nst_core.studies.sheets import Cell, Findings, Row, Sheet
from nst_core.studies.study_renders import StudyInputs, StudyRenders, cell, describe, name_of_layers, side_by_side

# Contrast of the noise from which a layer is reconstructed. What a layer does not see stays as it was at the start:
# noise of full contrast would cover what it does see.
NOISE = 0.1


def content_reconstruction(inputs: StudyInputs, settings: IterativeSettings) -> Findings:
    """Paint from faint noise, for each content layer, a picture whose features there are the photo's."""
    layers = settings.objective.content_layers
    settings = replace(settings, start="noise", noise=NOISE)
    renders = StudyRenders(inputs, len(layers) * settings.iterations)
    photo = resized_to_long_side(inputs.photo, settings.size)
    cells, rows, losses = [cell(photo)], list[Row](), []
    for layer in layers:
        objective = replace(
            settings.objective,
            content_layers=(layer,),
            content_layer_weights=(),
            content_weight=1.0,
            style_layers=(layer,),  # there must be one, and this one takes no further convolution
            style_layer_weights=(),
            style_weight=0.0,
        )
        run = renders.render(layer, replace(settings, objective=objective))
        metrics = PictureMetrics(inputs.network, photo, None, (layer,), ())(run.image)
        losses.append((layer, run.losses))
        rows.append({"layer": layer, "iterations": settings.iterations, **metrics})
        cells.append(cell(run.image, f"feature error {metrics['content']:.3f}{_ssim(metrics)}"))
    title = f"Content reconstructed from noise, {describe(inputs, settings)}"
    return Findings(Sheet(title, ["photo", *layers], [("", cells)]), rows, side_by_side(losses))


def style_reconstruction(inputs: StudyInputs, settings: IterativeSettings) -> Findings:
    """Paint from faint noise textures with the style picture's Gram matrices: of one layer, and of all up to it."""
    layers = settings.objective.style_layers
    alone = [(layer,) for layer in layers]
    stacked = [layers[: n + 1] for n in range(1, len(layers))]
    renders = StudyRenders(inputs, (len(alone) + len(stacked)) * settings.iterations)
    style = resized_to_long_side(inputs.style, settings.size)
    settings = replace(settings, start="noise", noise=NOISE)
    noise = first_picture(style, style, settings)
    judge = PictureMetrics(inputs.network, noise, style, (), layers)
    rows, losses, cells = list[Row](), [], dict[tuple[str, ...], Cell]()
    for chosen in [*alone, *stacked]:
        name = name_of_layers(chosen)
        run = renders.render(name, _texture_settings(settings, chosen), photo=style)
        metrics = {key: value for key, value in judge(run.image).items() if key.startswith(("style", "colour_style"))}
        distance = sum(metrics[f"style_{layer}"] for layer in chosen) / len(chosen)
        losses.append((name, run.losses))
        rows.append({"layers": name, "iterations": settings.iterations, **metrics})
        cells[chosen] = cell(run.image, f"style distance {distance:.3f}")
    title = f"Style reconstructed from noise, {describe(inputs, settings)}"
    # The first layer up to itself is the first layer alone.
    up_to_it = [cells[layers[: n + 1]] for n in range(len(layers))]
    sheet_rows = [
        (
            "one layer alone",
            [cell(style, "the style picture\nstyle distance 0"), *(cells[chosen] for chosen in alone)],
        ),
        ("all layers up to it", [cell(noise, "the noise\nstyle distance 1"), *up_to_it]),
    ]
    return Findings(Sheet(title, ["", *layers], sheet_rows), rows, side_by_side(losses))


def _texture_settings(settings: IterativeSettings, layers: tuple[str, ...]) -> IterativeSettings:
    """Return the same settings with no content loss and the style loss of ``layers`` alone."""
    weights = settings.objective.weights_by_layer
    objective = replace(
        settings.objective,
        content_layers=layers[:1],
        content_layer_weights=(),
        content_weight=0.0,
        style_layers=layers,
        style_layer_weights=tuple(weights[layer] for layer in layers),
    )
    return replace(settings, objective=objective)


def _ssim(metrics: Mapping[str, float]) -> str:
    return f"\nSSIM {metrics['ssim']:.2f}" if "ssim" in metrics else ""
