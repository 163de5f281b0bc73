"""``neural-style distill``: train a small feature network from a large one."""

from __future__ import annotations

import argparse

from nst_core.base.objective_settings import GATYS_STYLE_LAYERS
from nst_core.base.training_settings import DistillSettings
from plugin.cli.network_training import add_files, add_steps, check_files, say_result, settings_from
from plugin.cli.options import add_number
from plugin.cli.outputs import network_files
from plugin.cli.reports import Report, say
from plugin.cli.terminal import training_bar

SUMMARY = "Train a small feature network from a large one (needs PyTorch; Ctrl-C keeps it, a second run resumes)."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``distill``."""
    default = DistillSettings()
    add_files(parser, "the weights file", "begin with the weights of another training", "the agreement")
    parser.add_argument("--teacher", required=True, metavar="NET", help="the network to learn from, as for --features")
    parser.add_argument(
        "--channels",
        type=_channels,
        default=default.channels,
        metavar="N,N,N,N,N",
        help=f"channels of the five blocks (default {','.join(map(str, default.channels))})",
    )
    add_number(parser, "--gram-weight", (0.0, 1e3), default.gram_weight, "how much the Gram matrices count")
    add_number(parser, "--crop", (32, 1024), default.crop, "pixels of a training picture's side")
    text = "pictures in each step, in addition to --batch, that the network itself is painting"
    add_number(parser, "--rendered", (0, 1024), default.rendered, text)
    parser.add_argument(
        "--first-layer",
        choices=GATYS_STYLE_LAYERS,
        default=default.first_layer,
        help="the first layer to learn; earlier layers stay as in --start-from",
    )
    add_number(parser, "--learning-rate", (1e-6, 1.0), default.learning_rate, "step size of AdamW")
    add_steps(parser, default)


def run(options: argparse.Namespace) -> Report:
    """Train the network and write its weights; Ctrl-C keeps what it has learned."""
    check_files(options, [*network_files(options.teacher)])
    from plugin.engine.training.feature_training import DistillRequest, distill_features

    settings = settings_from(options, DistillSettings)
    request = DistillRequest(
        options.photos,
        options.paintings,
        options.output,
        settings,
        teacher=options.teacher,
        start=options.start_from,
        device=options.device,
        held_out=options.held_out,
    )
    with training_bar(settings.steps) as (progress, stage):
        report = distill_features(request, progress, stage)
    for layer, value in report.get("agreement", {}).items():
        say(options, f"{layer}: correlation {value:.3f}")
    say_result(options, report)
    return report


def _channels(text: str) -> tuple[int, ...]:
    values = tuple(int(part) if part.isdigit() else 0 for part in text.split(","))
    if len(values) != 5 or min(values) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not five whole numbers separated by commas")
    return values
