"""``neural-style distill``: train a small feature network from a large one."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from nst_core.base.objective_settings import GATYS_STYLE_LAYERS
from nst_core.base.training_settings import DistillSettings
from plugin.cli.options import MIXED_PRECISION_HELP, SEED_RANGE, add_device, add_number
from plugin.cli.outputs import check_apart, check_folder, network_files
from plugin.cli.reports import Report, say
from plugin.cli.terminal import training_bar

SUMMARY = "Train a small feature network from a large one (needs PyTorch; Ctrl-C keeps it, a second run resumes)."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``distill``."""
    default = DistillSettings()
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.safetensors", help="the weights file")
    parser.add_argument("--teacher", required=True, metavar="NET", help="the network to learn from, as for --features")
    parser.add_argument("--photos", type=Path, required=True, metavar="PLACE", help="a folder or a tar of photos")
    parser.add_argument("--paintings", type=Path, required=True, metavar="PLACE", help="a folder or a tar of paintings")
    parser.add_argument("--start-from", type=Path, metavar="FILE", help="begin with the weights of another training")
    parser.add_argument("--held-out", type=Path, metavar="PLACE", help="photos on which to measure the agreement")
    add_device(parser)
    parser.add_argument(
        "--channels",
        type=_channels,
        default=default.channels,
        metavar="N,N,N,N,N",
        help=f"channels of the five blocks (default {','.join(map(str, default.channels))})",
    )
    add_number(parser, "--gram-weight", (0.0, 1e3), default.gram_weight, "how much the Gram matrices count")
    add_number(parser, "--steps", (1, 10**7), default.steps, "training steps in all")
    add_number(parser, "--batch", (4, 1024), default.batch, "pictures in each step")
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
    parser.add_argument("--mixed-precision", action="store_true", help=MIXED_PRECISION_HELP)
    add_number(parser, "--seed", SEED_RANGE, default.seed, "seed of all randomness")


def run(options: argparse.Namespace) -> Report:
    """Train the network and write its weights; Ctrl-C keeps what it has learned."""
    from plugin.engine.iterative.iterative_painting import require_torch

    require_torch()
    check_folder(options.output)
    inputs = [
        ("photos", options.photos),
        ("paintings", options.paintings),
        ("file of --start-from", options.start_from),
        ("photos of --held-out", options.held_out),
        *network_files(options.teacher),
    ]
    check_apart([("output", options.output), ("checkpoint", options.output.with_suffix(".checkpoint"))], inputs)
    from plugin.engine.training.feature_training import DistillRequest, distill_features

    names = {field.name for field in fields(DistillSettings)} & vars(options).keys()
    settings = DistillSettings(**{name: getattr(options, name) for name in names})
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
    say(options, f"{options.output}: {report['steps']} steps")
    if skipped := report["photos_skipped"]:
        say(options, f"{len(skipped)} damaged or too small pictures were skipped: {', '.join(skipped)}")
    return report


def _channels(text: str) -> tuple[int, ...]:
    values = tuple(int(part) if part.isdigit() else 0 for part in text.split(","))
    if len(values) != 5 or min(values) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not five whole numbers separated by commas")
    return values
