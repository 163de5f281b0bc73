"""``neural-style train``: train a style from a painting."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nst_core.base.objective_settings import OBJECTIVE_RANGES
from nst_core.base.recipes import objective_from_data
from nst_core.base.training_settings import (
    FAITHFUL_CONTENT_WEIGHT,
    TrainSettings,
    TransformerSettings,
    with_faithful_row,
)
from plugin.cli.options import (
    MIXED_PRECISION_HELP,
    OBJECTIVE_OPTIONS,
    SEED_RANGE,
    add_allowed_pictures,
    add_device,
    add_number,
    add_objective,
    add_style_card,
    given,
    number_within,
    style_cards,
)
from plugin.cli.outputs import check_apart, check_folder, check_room, check_style_output, network_files
from plugin.cli.reports import Report, say
from plugin.cli.terminal import training_bar

if TYPE_CHECKING:
    from plugin.engine.training.style_training import TrainingRequest

SUMMARY = "Train a style from one or more paintings (needs PyTorch; Ctrl-C keeps it, and the same command resumes)."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``train``."""
    default = TrainSettings()
    parser.add_argument(
        "paintings", type=Path, nargs="+", metavar="PAINTING", help="several paintings share one network"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.onnx", help="the style file")
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="PLACE",
        help="a folder or a tar of training photos; without it, the network learns from random shapes",
    )
    add_allowed_pictures(parser)
    parser.add_argument(
        "--faces",
        type=Path,
        metavar="FILE.json",
        help='boxes of faces in the photos, {"name.jpg": [[x, y, width, height]]}: 40 %% of the crops show one of them',
    )
    parser.add_argument(
        "--leave-out-photos", type=Path, metavar="FILE", help="a text file with the names of photos not to learn from"
    )
    text = "weight of the content at the faithful end of the setting --detail"
    weights = OBJECTIVE_RANGES["content_weight"]
    add_number(parser, "--faithful-content-weight", weights, FAITHFUL_CONTENT_WEIGHT, text)
    parser.add_argument(
        "--no-detail",
        action="store_true",
        help="train the bold end of the setting --detail only; the style then has no such setting",
    )
    add_device(parser)
    _add_start_and_end(parser, default)
    add_number(parser, "--batch", (1, 256), default.batch, "photos in each step")
    add_number(parser, "--crop", (64, 1024), default.crop, "pixels of a training photo's side")
    text = "size of the painting in pixels; larger gives larger strokes"
    add_number(parser, "--style-size", (64, 4096), default.style_size, text)
    text = "smooth canvas or paper grain up to this contrast, such as 0.06; a network would make it a regular pattern"
    add_number(parser, "--grain", (0, 1), default.grain, text)
    add_number(parser, "--width", (4, 128), default.network.width, "channels of the network")
    parser.add_argument(
        "--end-kernel",
        type=int,
        choices=(3, 5, 7, 9),
        default=default.network.end_kernel,
        help=f"side of the first and the last convolution's kernel (default {default.network.end_kernel})",
    )
    add_number(parser, "--learning-rate", (1e-6, 1.0), default.learning_rate, "step size of Adam")
    parser.add_argument("--mixed-precision", action="store_true", help=MIXED_PRECISION_HELP)
    add_number(parser, "--seed", SEED_RANGE, default.seed, "seed of all randomness")
    add_objective(parser, default.objective)
    add_style_card(parser)


def _add_start_and_end(parser: argparse.ArgumentParser, default: TrainSettings) -> None:
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--start-from",
        type=Path,
        metavar="FILE",
        help="begin with this style file or checkpoint (default: the bundled style nearest to the painting)",
    )
    start.add_argument("--from-scratch", action="store_true", help="begin with an untrained network")
    budget = parser.add_mutually_exclusive_group()
    add_number(budget, "--steps", (1, 10**7), default.steps, "training steps in all", unset=True)
    budget.add_argument(
        "--minutes",
        type=number_within(float, 0.01, 1e5),
        metavar="N",
        help="as many steps as fit into this time (0.01-100000, instead of --steps)",
    )


def run(options: argparse.Namespace) -> Report:
    """Train and write the style file; Ctrl-C keeps what has been learned, and a second call resumes its checkpoint."""
    check_style_output(options.output)
    from nst_core.fast import distributed
    from nst_core.pictures.photos import read_photo_names
    from plugin.cli.picture_files import read_input
    from plugin.engine.training.style_training import TrainingRequest, train_styles

    settings = TrainSettings(
        objective=objective_from_data(given(options, OBJECTIVE_OPTIONS), TrainSettings().objective),
        network=TransformerSettings(options.width, end_kernel=options.end_kernel, styles=len(options.paintings)),
        **given(options, ("steps", "minutes")),
        batch=options.batch,
        crop=options.crop,
        style_size=options.style_size,
        grain=options.grain,
        learning_rate=options.learning_rate,
        mixed_precision=options.mixed_precision,
        seed=options.seed,
    )
    if not options.no_detail:
        settings = with_faithful_row(settings, options.faithful_content_weight)
    cards = style_cards(options, [path.stem.replace("_", " ").title() for path in options.paintings])
    request = TrainingRequest(
        [read_input(options, path) for path in options.paintings],
        options.photos,
        options.output,
        settings,
        features=options.features,
        pooling=options.pooling,
        reference_photos=options.reference_photos,
        device=options.device,
        start=options.start_from,
        from_scratch=options.from_scratch,
        faces=options.faces,
        left_out=frozenset(read_photo_names(options.leave_out_photos)) if options.leave_out_photos else frozenset(),
    )
    _check_files(options, request)
    with distributed.process_group(options.device), training_bar(settings.steps) as (progress, stage):
        report = train_styles(request, cards, progress, stage)
    _describe(options, report)
    return report


def _check_files(options: argparse.Namespace, request: TrainingRequest) -> None:
    """Raise StyleError if the training could not write one of its files, or would overwrite what it reads."""
    from nst_core.fast.transformer import TransformerNetwork

    outputs = [
        ("output", request.output),
        ("checkpoint", request.checkpoint),
        ("table of losses", request.losses),
        ("preview", request.preview),
    ]
    for _role, path in outputs:
        check_folder(path)
    weights = TransformerNetwork(request.settings.network).parameters()
    # The checkpoint has the weights and Adam's two moments, the style file the weights alone; both are float32.
    check_room(request.output, 4 * 4 * sum(weight.numel() for weight in weights), "The style file with its checkpoint")
    inputs = [
        *(("painting", path) for path in options.paintings),
        ("photos", options.photos),
        ("file of faces", options.faces),
        ("file of --leave-out-photos", options.leave_out_photos),
        ("file of --start-from", options.start_from),
        ("file of --cards", options.cards),
        ("reference photos", options.reference_photos),
        *network_files(options.features),
    ]
    check_apart(outputs, inputs)


def _describe(options: argparse.Namespace, report: Report) -> None:
    photos = f"{report['photos']} photos" if report["photos"] else "random shapes, because --photos was not given"
    start = f"beginning with {report['started_from']}" if report["started_from"] else "from scratch"
    if not (report["started_from"] or report["resumed"] or options.from_scratch):
        start += " (no bundled style has a network of this shape)"
    say(
        options,
        f"{options.output}: {report['steps']} steps {start}, on {photos}, with the features of "
        f"{report['feature_network']}; to continue, repeat the command with a larger "
        f"{'--minutes' if options.minutes else '--steps'}",
    )
    if skipped := report["photos_skipped"]:
        say(options, f"{len(skipped)} damaged or too small photos were skipped: {', '.join(skipped)}")
