"""``apply`` with a film: its options, its progress, and its report."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from nst_core.base.errors import StyleError
from plugin.cli.many_pictures import BATCH_OPTIONS, InStyle
from plugin.cli.mask_options import check_one_photo
from plugin.cli.options import add_number
from plugin.cli.outputs import check_apart, check_folder, check_picture_output
from plugin.cli.reports import Report, say
from plugin.cli.terminal import picture_bar, run_stoppable
from plugin.engine.film.film_settings import (
    ANIMATION_FORMATS,
    CRF_RANGE,
    ENCODERS,
    FILM_SUFFIXES,
    RATE_RANGE,
    STEADY_RANGE,
    FilmSettings,
    is_numbered,
    require_packages,
)
from plugin.engine.progress import Stopper

if TYPE_CHECKING:
    import numpy as np

    from plugin.engine.film.film_painting import FilmResult
    from plugin.engine.film.frames import FrameSink, FrameSource
    from plugin.engine.imaging.picture import Picture


def add_film_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of films."""
    default = FilmSettings()
    group = parser.add_argument_group("films", "for a film such as clip.mp4, painted frame by frame")
    text = "how firmly strokes stick to the objects in the film; 0 paints each frame on its own"
    add_number(group, "--steady", STEADY_RANGE, default.steady, text)
    add_number(group, "--crf", CRF_RANGE, default.crf, "how much quality the file may lose")
    text = "frames a second of numbered pictures such as frames/%%04d.png"
    add_number(group, "--fps", RATE_RANGE, default.rate, text)
    group.add_argument(
        "--encoder", default="", metavar="NAME", help="one of FFmpeg's video encoders, such as h264_nvenc"
    )
    for flag, text in (("--from", "begin at this time"), ("--to", "end at this time")):
        group.add_argument(flag, type=_moment, metavar="TIME", help=f"{text}, in seconds or as in 1:02:03.5")


def is_film(options: argparse.Namespace) -> bool:
    """Return whether the command reads or writes a film, an animation or numbered pictures.

    An animation stays one if its painting can be one; otherwise its first frame is a photo like any other.
    """
    paths = (*options.photos, options.output)
    if any(path.suffix.lower() in FILM_SUFFIXES or is_numbered(path) for path in paths):
        return True
    return len(options.photos) == 1 and _stays_animated(options.photos[0], options.output)


def _stays_animated(source: Path, target: Path) -> bool:
    """Return whether ``source`` is an animation, and ``target`` can be one. A .png is usually a still."""
    ending = target.suffix.lower()
    if ending not in ANIMATION_FORMATS or (ending == ".png" and source.suffix.lower() not in (".png", ".apng")):
        return False
    return _is_animation(source)


def _is_animation(path: Path) -> bool:
    if path.suffix.lower() not in ANIMATION_FORMATS or not path.is_file():
        return False
    from plugin.engine.film.picture_sequences import is_animation

    return is_animation(path)


def paint_film_file(options: argparse.Namespace, style: InStyle) -> Report:
    """Paint a film in a style, tell the user the outcome, and return the report."""
    settings = _settings(options)
    source, target = _check_names(options, style)
    films = any(path.suffix.lower() in FILM_SUFFIXES for path in (source, target))
    require_packages(settings, with_av=films)
    from plugin.engine.film.film_painting import paint_film

    frames = _frames(source, settings)
    style.prepare()
    for note in frames.clip.notes:
        say(options, note)
    sink = _sink(target, frames, settings, _painting(options, style))
    notes = set[str]()
    if sink.painted:
        say(options, f"{sink.painted} frames are there already and are kept.")

    def work(stopper: Stopper) -> FilmResult:
        def paint(picture: Picture) -> np.ndarray:
            result = style.paint(picture, stopper)
            notes.update(result.notes)
            return result.pixels

        return paint_film(frames, sink, paint, settings, show, stopper)

    try:
        with picture_bar(frames.count, "frames", sink.painted) as show:
            result = run_stoppable(work)
    except KeyboardInterrupt:
        if target.suffix.lower() not in ANIMATION_FORMATS or is_numbered(target):
            say(options, "The same command continues after the last frames that were saved.")
        raise
    if frames.damaged:
        notes.add(f"{frames.damaged} damaged frames of {source} are left out; the ones before them are shown longer.")
    return _report(options, style, result, [*frames.clip.notes, *sorted(notes)])


def _frames(path: Path, settings: FilmSettings) -> FrameSource:
    """Open what ``path`` names: numbered pictures, a film, or an animation."""
    from plugin.engine.film.picture_sequences import AnimationFrames, NumberedFrames

    if is_numbered(path):
        return NumberedFrames(path, settings)
    if _is_animation(path):
        return AnimationFrames(path, settings)
    from plugin.engine.film.clip_reading import ClipFrames, read_clip

    return ClipFrames(read_clip(path), settings)


def _sink(target: Path, frames: FrameSource, settings: FilmSettings, painting: dict[str, object]) -> FrameSink:
    """Return what writes the painted frames to ``target``."""
    from plugin.engine.film.picture_sequences import AnimationWriter, NumberedWriter

    if is_numbered(target):
        return NumberedWriter(target)
    if target.suffix.lower() in ANIMATION_FORMATS:
        return AnimationWriter(target, getattr(frames, "loop", 0))
    from plugin.engine.film.clip_writing import ClipWriter

    return ClipWriter(target, frames.clip, settings, painting)


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
        rate=options.fps,
        start=0.0 if start is None else start,
        end=math.inf if end is None else end,
    )


def _check_names(options: argparse.Namespace, style: InStyle) -> tuple[Path, Path]:
    """Return the film to read and the one to write. Raises StyleError if a name or an option does not fit."""
    check_one_photo(options)
    if len(options.photos) > 1:
        raise StyleError("One film is painted at a time; give one film, or pictures and folders without films.")
    for name in BATCH_OPTIONS:
        if getattr(options, name, None) is not None:
            raise StyleError(f"--{name} is for many pictures; leave it out for a film.")
    source, target = options.photos[0], options.output
    suffix = target.suffix.lower()
    fits = suffix in ENCODERS or (suffix in ANIMATION_FORMATS and suffix != ".png") or _stays_animated(source, target)
    if is_numbered(target):
        check_picture_output(target)
    elif not fits:
        endings = ", ".join(sorted([*ENCODERS, *set(ANIMATION_FORMATS) - {".png"}]))
        raise StyleError(
            f"{target.name} does not have a film's extension; use one of {endings}, or numbers as in %04d.png."
        )
    check_folder(target)
    check_apart([("output", target)], [("film", source), *(("style", path) for path in style.files)])
    return source, target


def _painting(options: argparse.Namespace, style: InStyle) -> dict[str, object]:
    """Return what decides how the frames are painted, besides the film's own settings."""
    skipped = ("photos", "output", "json", "command", "allow_damaged", "allow_large", "max_memory")
    return {name: value for name, value in vars(options).items() if name not in skipped} | {"style": style.described}


def _moment(text: str) -> float:
    """Read a time as seconds, or as hours, minutes and seconds."""
    parts = text.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = [math.nan]
    if len(parts) > 3 or not all(0 <= number < math.inf for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; give seconds, or a time as in 1:02:03.5")
    return math.fsum(number * 60.0**place for place, number in enumerate(reversed(numbers)))
