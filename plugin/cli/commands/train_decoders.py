"""``neural-style train-decoders``: train a decoder of the instant way."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from nst_core.base.training_settings import DecoderSettings
from plugin.cli.options import MIXED_PRECISION_HELP, SEED_RANGE, add_device, add_number
from plugin.cli.outputs import check_apart, check_folder
from plugin.cli.reports import Report, say
from plugin.cli.terminal import training_bar

SUMMARY = "Train a decoder for painting in any picture's style (needs PyTorch; a second run resumes)."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``train-decoders``."""
    default = DecoderSettings()
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT.safetensors", help="the decoder's file"
    )
    parser.add_argument("--photos", type=Path, required=True, metavar="PLACE", help="a folder or a tar of photos")
    parser.add_argument("--paintings", type=Path, required=True, metavar="PLACE", help="a folder or a tar of paintings")
    parser.add_argument(
        "--start-from", type=Path, metavar="FILE", help="begin with another decoder; level 1 does not need one"
    )
    parser.add_argument(
        "--start-encoder",
        type=Path,
        metavar="FILE",
        help="the encoder of --start-from, if that is a slim decoder of Wang et al. (2020)",
    )
    parser.add_argument("--held-out", type=Path, metavar="PLACE", help="photos on which to measure the reconstruction")
    add_device(parser)
    add_number(parser, "--level", (1, 5), default.level, "the block of the feature network that it inverts")
    add_number(parser, "--steps", (1, 10**7), default.steps, "training steps in all")
    add_number(parser, "--batch", (4, 1024), default.batch, "pictures in each step")
    add_number(parser, "--crop", (64, 1024), default.crop, "pixels of a training picture's side, a multiple of 16")
    add_number(parser, "--feature-weight", (0.0, 1e3), default.feature_weight, "weight of the activations' error")
    text = "weight of the style loss of pictures in another one's style"
    add_number(parser, "--style-weight", (0.0, 1e3), default.style_weight, text)
    add_number(parser, "--learning-rate", (1e-7, 1.0), default.learning_rate, "step size of Adam")
    parser.add_argument("--mixed-precision", action="store_true", help=MIXED_PRECISION_HELP)
    add_number(parser, "--seed", SEED_RANGE, default.seed, "seed of all randomness")


def run(options: argparse.Namespace) -> Report:
    """Train the decoder and write it; Ctrl-C keeps what it has learned."""
    from plugin.engine.iterative.iterative_painting import require_torch

    require_torch()
    check_folder(options.output)
    inputs = [
        ("photos", options.photos),
        ("paintings", options.paintings),
        ("file of --start-from", options.start_from),
        ("file of --start-encoder", options.start_encoder),
        ("photos of --held-out", options.held_out),
    ]
    check_apart([("output", options.output), ("checkpoint", options.output.with_suffix(".checkpoint"))], inputs)
    from plugin.engine.training.decoder_files import DecoderRequest, train_decoder

    names = {field.name for field in fields(DecoderSettings)} & vars(options).keys()
    settings = DecoderSettings(**{name: getattr(options, name) for name in names})
    request = DecoderRequest(
        options.photos,
        options.paintings,
        options.output,
        settings,
        start=options.start_from,
        start_encoder=options.start_encoder,
        held_out=options.held_out,
        device=options.device,
    )
    with training_bar(settings.steps) as (progress, _stage):
        report = train_decoder(request, progress)
    if "psnr" in report:
        say(options, f"held-out photos: {report['psnr']:.1f} dB")
    say(options, f"{options.output}: {report['steps']} steps")
    if skipped := report["photos_skipped"]:
        say(options, f"{len(skipped)} damaged or too small pictures were skipped: {', '.join(skipped)}")
    return report
