"""``apply`` with a film: its options, its progress, and its report."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from nst_core.base.errors import StyleError
from plugin.cli.many_pictures import BATCH_OPTIONS, InStyle
from plugin.cli.options import add_number
from plugin.cli.outputs import check_apart, check_folder
from plugin.cli.reports import Report, say
from plugin.cli.terminal import picture_bar, run_stoppable
from plugin.engine.film.film_settings import (
    CRF_RANGE,
    ENCODERS,
    FILM_SUFFIXES,
    STEADY_RANGE,
    FilmSettings,
    require_packages,
)
from plugin.engine.progress import Stopper

if TYPE_CHECKING:
    import numpy as np

    from plugin.engine.film.film_painting import FilmResult
    from plugin.engine.imaging.picture import Picture


def add_film_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of films."""
    default = FilmSettings()
    group = parser.add_argument_group("films", "for a film such as clip.mp4, painted frame by frame")
    text = "how firmly strokes keep to what they are painted on; 0 paints each frame by itself"
    add_number(group, "--steady", STEADY_RANGE, default.steady, text)
    add_number(group, "--crf", CRF_RANGE, default.crf, "how much quality the file may lose")
    group.add_argument(
        "--encoder", default="", metavar="NAME", help="one of FFmpeg's video encoders, such as h264_nvenc"
    )
    for flag, text in (("--from", "begin at this time"), ("--to", "end at this time")):
        group.add_argument(flag, type=_moment, metavar="TIME", help=f"{text}, in seconds or as in 1:02:03.5")


def is_film(path: Path) -> bool:
    """Return whether a name is that of a film, to read or to write."""
    return path.suffix.lower() in FILM_SUFFIXES


def paint_film_file(options: argparse.Namespace, style: InStyle) -> Report:
    """Paint a film in a style, tell the user the outcome, and return the report."""
    settings = _settings(options)
    source, target = _check_names(options, style)
    require_packages(settings)
    from plugin.engine.film.clip_reading import ClipFrames, read_clip
    from plugin.engine.film.clip_writing import ClipWriter
    from plugin.engine.film.film_painting import paint_film

    clip = read_clip(source)
    style.prepare()
    for note in clip.notes:
        say(options, note)
    writer = ClipWriter(target, clip, settings, _painting(options, style))
    if writer.painted:
        say(options, f"{writer.painted} frames of an interrupted run are kept.")
    frames, notes = ClipFrames(clip, settings), set[str]()

    def work(stopper: Stopper) -> FilmResult:
        def paint(picture: Picture) -> np.ndarray:
            result = style.paint(picture, stopper)
            notes.update(result.notes)
            return result.pixels

        return paint_film(frames, writer, paint, settings, show, stopper)

    try:
        with picture_bar(frames.count, "frames", writer.painted) as show:
            result = run_stoppable(work)
    except KeyboardInterrupt:
        say(options, "The same command continues after the last frames that were saved.")
        raise
    if frames.damaged:
        notes.add(f"{frames.damaged} damaged frames of {source} are left out; the ones before them are shown longer.")
    return _report(options, style, result, [*clip.notes, *sorted(notes)])


def _report(options: argparse.Namespace, style: InStyle, result: FilmResult, notes: list[str]) -> Report:
    from plugin.engine.machine.memory import peak_rss_mib

    total = result.seconds["total"]
    rate = result.painted / total if total else 0.0
    say(options, f"{options.output}: {style.described}, {result.painted} frames in {total:.1f} s ({rate:.2f} a second)")
    return {
        "output": str(options.output),
        "style": style.described,
        "frames": result.painted,
        "frames_kept": result.kept,
        "frames_per_second": round(rate, 4),
        "seconds": {stage: round(value, 3) for stage, value in result.seconds.items()},
        "peak_rss_mib": round(peak_rss_mib(), 1),
        "notes": notes,
    }


def _settings(options: argparse.Namespace) -> FilmSettings:
    start, end = getattr(options, "from"), options.to
    return FilmSettings(
        steady=options.steady,
        crf=options.crf,
        encoder=options.encoder,
        start=0.0 if start is None else start,
        end=math.inf if end is None else end,
    )


def _check_names(options: argparse.Namespace, style: InStyle) -> tuple[Path, Path]:
    """Return the film to read and the one to write. Raises StyleError if a name or an option does not fit."""
    if len(options.photos) > 1:
        raise StyleError("One film is painted at a time; give one film, or pictures and folders without films.")
    for name in BATCH_OPTIONS:
        if getattr(options, name, None) is not None:
            raise StyleError(f"--{name} is for many pictures; leave it out for a film.")
    source, target = options.photos[0], options.output
    if target.suffix.lower() not in ENCODERS:
        endings = ", ".join(sorted(ENCODERS))
        raise StyleError(f"{target.name} does not end like a film; use one of {endings}.")
    check_folder(target)
    check_apart([("output", target)], [("film", source), *(("style", path) for path in style.files)])
    return source, target


def _painting(options: argparse.Namespace, style: InStyle) -> dict[str, object]:
    """Return what decides how the frames are painted, besides the film's own settings."""
    skipped = ("photos", "output", "json", "command", "allow_damaged")
    return {name: value for name, value in vars(options).items() if name not in skipped} | {"style": style.described}


def _moment(text: str) -> float:
    """Read a time as seconds, or as hours, minutes and seconds."""
    parts = text.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = [math.nan]
    if len(parts) > 3 or not all(0 <= number < math.inf for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is no time; give seconds, or a time as in 1:02:03.5")
    return math.fsum(number * 60.0**place for place, number in enumerate(reversed(numbers)))
