"""``neural-style import``: make a style file from a network of another project."""

from __future__ import annotations

import argparse
from pathlib import Path

from plugin.cli.options import add_style_card, style_cards
from plugin.cli.outputs import check_apart, check_style_output
from plugin.cli.reports import Report, say
from plugin.cli.terminal import run_stoppable

SUMMARY = "Make a style file from a fast-style network of another project (needs PyTorch)."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``import``."""
    parser.add_argument(
        "source",
        type=Path,
        metavar="FILE",
        help="a state dict of PyTorch's fast_neural_style, an .npz with the variables of TensorFlow's "
        "fast-style-transfer, or an ONNX network for RGB in 0..255",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.onnx")
    add_style_card(parser)


def run(options: argparse.Namespace) -> Report:
    """Write the style file."""
    check_style_output(options.output, options.source)
    inputs = [("network", options.source), ("file of --cards", options.cards)]
    check_apart([("output", options.output)], inputs)
    from plugin.engine.training.style_export import import_network

    cards = style_cards(options, [options.output.stem])
    # PyTorch's exporter may abort when Ctrl-C interrupts it, and a network of unknown origin may compute for hours.
    report = run_stoppable(lambda _stopper: import_network(options.source, cards, options.output))
    say(
        options,
        f"{options.output}: {report['layout']}, differs from the original by at most {report['difference']:.1e}",
    )
    return report
