"""``neural-style train-decoders``: train a decoder of instant painting."""

from __future__ import annotations

import argparse
from pathlib import Path

from nst_core.base.training_settings import DecoderSettings
from plugin.cli.network_training import add_files, add_steps, check_files, say_result, settings_from
from plugin.cli.options import add_number
from plugin.cli.reports import Report, say
from plugin.cli.terminal import training_bar

SUMMARY = "Train a decoder for painting in any picture's style (needs PyTorch; a second run resumes)."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``train-decoders``."""
    default = DecoderSettings()
    start = "begin with another decoder; level 1 does not need one"
    add_files(parser, "the decoder's file", start, "the reconstruction")
    parser.add_argument(
        "--start-encoder",
        type=Path,
        metavar="FILE",
        help="the encoder of --start-from, if that is a slim decoder of Wang et al. (2020)",
    )
    add_number(parser, "--level", (1, 5), default.level, "the block of the feature network that it inverts")
    add_number(parser, "--crop", (64, 1024), default.crop, "pixels of a training picture's side, a multiple of 16")
    add_number(parser, "--feature-weight", (0.0, 1e3), default.feature_weight, "weight of the activations' error")
    text = "weight of the style loss of pictures in another one's style"
    add_number(parser, "--style-weight", (0.0, 1e3), default.style_weight, text)
    add_number(parser, "--learning-rate", (1e-7, 1.0), default.learning_rate, "step size of Adam")
    add_steps(parser, default)


def run(options: argparse.Namespace) -> Report:
    """Train the decoder and write it; Ctrl-C keeps what it has learned."""
    check_files(options, [("file of --start-encoder", options.start_encoder)])
    from plugin.engine.training.decoder_files import DecoderRequest, train_decoder

    settings = settings_from(options, DecoderSettings)
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
    say_result(options, report)
    return report
