"""Measure how fast a trained style paints, relative to the classic network, in ONNX Runtime and in PyTorch.

    python -m benchmarks.inference OUT

OUT gets inference.md, which is printed too, inference.json, and raw/ with one file for each measurement, so an
interrupted run continues where it was. Remove raw/ after changing what is measured. The classic network is the
32/64/128 of pytorch/examples' fast_neural_style with 9x9 convolutions at both ends, with random weights, imported as
`neural-style import` does.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.inference.inference_report import inference_report
from benchmarks.inference.network_comparison import InferenceOptions, compare_networks
from benchmarks.measuring.command import add_timing_options, exit_on_error, new_parser, read_timing_options
from benchmarks.measuring.record_files import Record, write_json, write_text


@exit_on_error("inference")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    run(parse(arguments))


def run(options: InferenceOptions) -> Record:
    """Measure, write the files in OUT, print the report, and return the record."""
    with tempfile.TemporaryDirectory() as folder:
        record = compare_networks(options, Path(folder))
    write_json(options.out / "inference.json", record)
    report = inference_report(record)
    write_text(options.out / "inference.md", report)
    print(report)
    return record


def parse(arguments: Sequence[str] | None = None) -> InferenceOptions:
    """Parse the command line."""
    given = _parser().parse_args(arguments)
    return InferenceOptions(given.out, given.style, given.minutes, given.device, read_timing_options(given))


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("inference", __doc__)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--style", metavar="STYLE", help="a name or a file (default the first bundled style)")
    parser.add_argument(
        "--minutes", type=float, help="start nothing new after so many; the same command continues (default no limit)"
    )
    add_timing_options(parser, sizes_on_cpu=(512, 1024), sizes_on_gpu=(512, 1024, 2048, 4096))
    return parser
