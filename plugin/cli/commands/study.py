"""``neural-style study``: show what a layer keeps of a picture, or what a setting does."""

from __future__ import annotations

import argparse
from pathlib import Path

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import ITERATIVE_RANGES, OPTIMIZERS
from nst_core.base.recipes import Recipe, from_data
from nst_core.studies.kinds import KINDS
from plugin.cli.options import (
    OBJECTIVE_OPTIONS,
    RENDER_NUMBERS,
    add_allowed_pictures,
    add_device,
    add_number,
    add_objective,
    flag_of,
    given,
    number_within,
)
from plugin.cli.outputs import check_apart, network_files
from plugin.cli.reports import Report, say
from plugin.cli.terminal import progress_bar, stage_bars

SUMMARY = "Show what a layer keeps of a picture or what a setting does, in sheets and tables (needs PyTorch)."
NUMBERS = {
    "size": "pixels of the pictures' longer side",
    "iterations": "steps of the optimiser in each render",
    **{name: RENDER_NUMBERS[name] for name in ("style_scale", "learning_rate", "shift", "seed")},
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``study``."""
    default = next(kind.defaults for kind in KINDS.values() if kind.two_pictures)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "studies:\n" + "\n".join(f"  {name:24}{kind.text}" for name, kind in KINDS.items())
    parser.add_argument("name", choices=KINDS, metavar="NAME", help="one of the studies below")
    parser.add_argument(
        "picture", type=Path, metavar="PICTURE", help="the photo, or the painting if the study is of its style"
    )
    parser.add_argument(
        "--style-image", type=Path, metavar="PAINTING", help="the painting, for studies that compare it with a photo"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where to write the sheets")
    for name, text in NUMBERS.items():
        add_number(parser, flag_of(name), ITERATIVE_RANGES[name], getattr(default, name), text, unset=True)
    parser.add_argument("--optimizer", choices=OPTIMIZERS, help=f"(default {default.optimizer})")
    parser.add_argument(
        "--content-weights", type=_numbers, metavar="N,N,...", help="the weights that the study `weights` compares"
    )
    add_allowed_pictures(parser)
    add_device(parser)
    add_objective(parser, default.objective)


def run(options: argparse.Namespace) -> Report:
    """Run the study and write its sheets and tables."""
    from plugin.cli.picture_files import read_input
    from plugin.cli.study_files import check_study_folder, study_paths, write_study
    from plugin.engine.iterative.iterative_painting import require_torch

    require_torch()
    from plugin.engine.iterative.study_run import StudyRequest, run_study

    kind, name = KINDS[options.name], options.name
    changes = given(options, (*NUMBERS, "optimizer", "features", "pooling"))
    recipe = from_data(changes | {"objective": given(options, OBJECTIVE_OPTIONS)}, Recipe(kind.defaults))
    if kind.two_pictures and options.style_image is None:
        raise StyleError(f"The study {name} compares a photo with a style picture; give one with --style-image.")
    check_study_folder(options.output)
    inputs = [
        ("picture", options.picture),
        ("style picture", options.style_image),
        ("reference photos", options.reference_photos),
        *network_files(recipe.features),
    ]
    check_apart([("file of the study", path) for path in study_paths(name, options.output)], inputs)
    request = StudyRequest(
        name,
        read_input(options, options.picture),
        read_input(options, options.style_image) if options.style_image else None,
        recipe,
        options.device,
        options.reference_photos,
        options.content_weights or (),
    )
    with stage_bars() as show_stage, progress_bar(0) as show_step:
        result = run_study(request, lambda step: show_step(step.done, step.losses, step.total), show_stage)
    files = [str(file) for file in write_study(name, result.findings, options.output)]
    for file in files:
        say(options, file)
    return {
        "study": name,
        "files": files,
        "feature_network": result.feature_network,
        "device": result.device,
        "results": result.findings.rows,
    }


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(number_within(float, 0.0, 1e6)(part) for part in text.split(","))
