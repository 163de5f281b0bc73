"""Measure how good the trained styles are: their worth in iterations of a render, and their artefacts.

    python -m benchmarks.quality ASSETS OUT

ASSETS holds weights/, photos/ and styles/ like the tests' NEURAL_STYLE_ASSETS. OUT gets quality.md, which is printed
too, quality.svg, and raw/ with two files for each photo in each style. An interrupted run continues where it was;
whatever has changed (a style, a painting, the features, the settings) is measured again. Remove raw/ after changing
what is measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring.command import exit_on_error, new_parser, numbers, positive
from benchmarks.measuring.record_files import write_file, write_text
from benchmarks.quality.quality_report import plot_objectives, quality_report
from benchmarks.quality.scores import PHOTOS_ON_CPU, QualityOptions, score_styles
from benchmarks.quality.style_subjects import SubjectOptions, read_subjects
from nst_core.base.device_names import DEVICES
from nst_core.base.iterative_settings import PRECISIONS
from plugin.cli.figures.plots import check_matplotlib


@exit_on_error("quality")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command: measure, write the files in OUT, and print the report."""
    options = parse(arguments)
    check_matplotlib()
    subjects = read_subjects(options.subjects)
    records = score_styles(subjects, options)
    report = quality_report(records, options)
    write_text(options.out / "quality.md", report)
    write_file(options.out / "quality.svg", lambda path: plot_objectives(records, path))
    print(report)


def parse(arguments: Sequence[str] | None = None) -> QualityOptions:
    """Parse the command line."""
    given = _parser().parse_args(arguments)
    return QualityOptions(
        subjects=SubjectOptions(given.assets, given.style, dict(given.painting), given.device),
        out=given.out,
        photos=given.photos,
        size=given.size,
        iterations=given.iterations,
        precision=given.precision,
    )


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("quality", __doc__)
    parser.add_argument("assets", type=Path, metavar="ASSETS")
    parser.add_argument("out", type=Path, metavar="OUT")
    add_style_options(parser)
    parser.add_argument(
        "--photos",
        type=positive,
        metavar="N",
        help=f"how many held-out photos (default {PHOTOS_ON_CPU} on a CPU, all on a GPU)",
    )
    parser.add_argument("--size", type=positive, default=256, help="longest side of a photo in pixels (default 256)")
    parser.add_argument(
        "--iterations",
        type=numbers,
        default=(10, 25, 50, 100, 200),
        metavar="N,N,...",
        help="after how many the render is judged (default 10,25,50,100,200)",
    )
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of the renders (default float32)")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    return parser


def add_style_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose styles and name their paintings."""
    parser.add_argument(
        "--style", action="append", metavar="STYLE", help="a name or a file; repeat for more styles (default all)"
    )
    parser.add_argument(
        "--painting",
        action="append",
        default=[],
        type=_name_and_file,
        metavar="NAME=FILE",
        help="the painting of a style that does not come with Neural Style",
    )


def _name_and_file(value: str) -> tuple[str, Path]:
    name, file = value.split("=", 1)
    return name, Path(file)
