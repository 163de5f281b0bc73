"""``neural-style export``: make a style file from a training checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path

from plugin.cli.options import add_style_card, style_cards
from plugin.cli.outputs import check_apart, check_style_output
from plugin.cli.reports import Report, say
from plugin.cli.terminal import run_stoppable

SUMMARY = "Make a style file from a training checkpoint (needs PyTorch)."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``export``."""
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.onnx")
    parser.add_argument(
        "--leave-out", action="append", default=[], metavar="STYLE", help="a style to leave out of the file"
    )
    add_style_card(parser)


def run(options: argparse.Namespace) -> Report:
    """Write the style file."""
    check_style_output(options.output, options.checkpoint)
    inputs = [("checkpoint", options.checkpoint), ("file of --cards", options.cards)]
    check_apart([("output", options.output)], inputs)
    from plugin.engine.training.style_export import export_checkpoint

    cards = style_cards(options, [options.output.stem])
    # PyTorch's exporter may abort when Ctrl-C interrupts it.
    report = run_stoppable(
        lambda _stopper: export_checkpoint(options.checkpoint, cards, options.output, options.leave_out)
    )
    say(options, f"{options.output}: differs from PyTorch by at most {report['difference']:.1e}")
    return report
