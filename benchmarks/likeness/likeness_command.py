"""Measure what the trained styles keep of photos, and what they take from their paintings, at 512 pixels.

    python -m benchmarks.likeness ASSETS OUT

ASSETS holds weights/, photos/ and styles/ like the tests' NEURAL_STYLE_ASSETS. OUT gets likeness.md, which is printed
too, a sheet of portraits for each style, and raw/ with a record for each style and detail; what is there is not
measured again unless the style file has changed. Needs OpenCV: pip install 'opencv-python-headless<5'.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

from tqdm import tqdm

from benchmarks.likeness.faces import check_opencv
from benchmarks.likeness.likeness_report import likeness_report
from benchmarks.likeness.measures import (
    FacePhoto,
    MeasuredPhoto,
    StyleMeasures,
    count_faces,
    measured_photo,
)
from benchmarks.likeness.portraits import portrait_sheet, read_portraits
from benchmarks.measuring.command import exit_on_error, new_parser
from benchmarks.measuring.record_files import Record, cached_record, write_text
from benchmarks.quality.quality_command import add_style_options
from benchmarks.quality.style_subjects import StyleSubject, SubjectOptions, load_feature_network, read_subjects
from nst_core.features.network import FeatureNetwork
from nst_core.pictures.photos import Photos
from nst_core.style_file import DETAIL_RANGE
from plugin.cli.figures.sheet_page import write_sheet

NOT_MEASURED = ("hires_a", "hires_b")  # in photos/eval: large, and much like the others
OBJECTIVE_PHOTOS = 8  # as in the benchmark of quality


@dataclass(frozen=True)
class LikenessOptions:
    """The command's options; ``details`` are those measured in styles with this setting."""

    subjects: SubjectOptions
    out: Path
    details: tuple[float, ...]
    sheets: bool

    @property
    def photos(self) -> Path:
        """The folder of photos."""
        return self.subjects.assets / "photos"


@dataclass(frozen=True, eq=False)
class PhotoSets:
    """The photos that all styles are measured with: portraits, varied photos, and small ones for the objective."""

    portraits: Sequence[FacePhoto]
    varied: Sequence[MeasuredPhoto]
    held_out: Photos

    @classmethod
    def read(cls, options: LikenessOptions, network: FeatureNetwork) -> PhotoSets:
        """Read the photos. Raises StyleError if a file is missing."""
        held_out = Photos(options.photos / "holdout.tar", 48)
        varied = Photos(options.photos / "eval", 48)
        kept = [index for index, name in enumerate(varied.names) if Path(name).stem not in NOT_MEASURED]
        measured = [measured_photo(varied.whole(index), network) for index in kept]
        return cls(read_portraits(options.photos), measured, held_out)


@exit_on_error("likeness")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command: measure, write the files in OUT, and print the report."""
    options = _parse(arguments)
    check_opencv()
    subjects = read_subjects(options.subjects)
    sets: dict[str, PhotoSets] = {}
    records = []
    for subject in tqdm(subjects, unit="style"):
        network = subject.style.trained["feature_network"]
        if network not in sets:
            sets[network] = PhotoSets.read(options, load_feature_network(network, options.subjects.weights))
        records += measure_style(subject, sets[network], options)
    report = likeness_report(records, len(next(iter(sets.values())).portraits))
    write_text(options.out / "likeness.md", report)
    print(report)


def measure_style(subject: StyleSubject, sets: PhotoSets, options: LikenessOptions) -> list[Record]:
    """Return a record for each detail of a style, and write its sheet of portraits."""
    style = subject.style
    details: tuple[float | None, ...] = (None,)
    if style.has_detail:
        details = tuple(dict.fromkeys((style.default_detail, *options.details)))
    measures = StyleMeasures(subject)
    key = hashlib.sha256(style.path.read_bytes()).hexdigest()
    records = []
    for detail in details:
        path = options.out / "raw" / f"{style.name}.{'none' if detail is None else f'{detail:g}'}.json"
        named = {"style": style.name, "title": style.title, "detail": detail}
        named["default"] = detail is None or detail == style.default_detail
        measure = partial(_measure, subject, measures, sets, detail)
        record = cached_record(path, f"{key} {style.index}", measure)
        records.append(record | named)
    if options.sheets:
        write_sheet(portrait_sheet(style, sets.portraits, details), options.out / f"{style.name}.jpg")
    return records


def _measure(subject: StyleSubject, measures: StyleMeasures, sets: PhotoSets, detail: float | None) -> Record:
    of_photos = [measures.of_photo(photo, detail) for photo in sets.varied]
    unsteadiness = [measures.unsteadiness(photo, detail, seed) for seed, photo in enumerate(sets.varied)]
    count = min(OBJECTIVE_PHOTOS, len(sets.held_out))
    small = [sets.held_out.whole(number * len(sets.held_out) // count) for number in range(count)]
    return {
        "faces": count_faces(subject.style, sets.portraits, detail),
        **{name: fmean(values[name] for values in of_photos) for name in of_photos[0]},
        "unsteadiness": max(unsteadiness),
        "objective": fmean(measures.objective(photo, detail) for photo in small),
    }


def _details(text: str) -> tuple[float, ...]:
    details = tuple(float(part) for part in text.split(","))
    if not all(DETAIL_RANGE[0] <= detail <= DETAIL_RANGE[1] for detail in details):
        raise ValueError(text)
    return details


def _parse(arguments: Sequence[str] | None) -> LikenessOptions:
    parser = new_parser("likeness", __doc__)
    parser.add_argument("assets", type=Path, metavar="ASSETS")
    parser.add_argument("out", type=Path, metavar="OUT")
    add_style_options(parser)
    parser.add_argument(
        "--details",
        type=_details,
        default=(100, 0),
        metavar="N,N,...",
        help="measured besides the default of styles with this setting (default 100,0)",
    )
    parser.add_argument("--no-sheets", action="store_true", help="write no sheets of portraits")
    given: argparse.Namespace = parser.parse_args(arguments)
    subjects = SubjectOptions(given.assets, given.style, dict(given.painting), "cpu")
    return LikenessOptions(subjects, given.out, given.details, not given.no_sheets)
