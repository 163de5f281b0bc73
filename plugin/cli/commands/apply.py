"""``neural-style apply``: paint photos in a trained style or in that of any picture, through ONNX Runtime."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nst_core.base.errors import StyleError
from nst_core.style_file import DETAIL_RANGE
from plugin.cli.films import add_film_options, is_film, paint_film_file
from plugin.cli.many_pictures import InStyle, is_batch, of_photo, paint_pictures, plan_pictures
from plugin.cli.mask_options import add_masks, check_one_photo, mask_files, read_photo
from plugin.cli.options import add_number, add_pictures, keeps_colors, number_within
from plugin.cli.outputs import check_apart, check_picture_output
from plugin.cli.region_options import add_regions, paint_in_regions
from plugin.cli.reports import Report, painting_report, say
from plugin.cli.style_options import add_styles, chosen_style
from plugin.cli.terminal import picture_bar, run_stoppable
from plugin.engine.batch.batch_plan import BatchTask
from plugin.engine.batch.batch_run import JOBS_RANGE, Batch
from plugin.engine.fast.fast_settings import MAX_MEMORY_RANGE, STROKE_SIZE_RANGE, FastSettings
from plugin.engine.imaging.blend_settings import COLORS_ONLY, PHOTOS_BEFORE, BlendSettings
from plugin.engine.progress import Stopper

if TYPE_CHECKING:
    pass

# One picture is read or written while another is painted.
DEFAULT_JOBS = 2
SUMMARY = "Paint a photo, many, or a film, in a bundled style, one of your own, or the style of any picture."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``apply``."""
    add_pictures(parser)
    add_styles(parser)
    add_regions(parser)
    add_masks(parser)
    parser.add_argument(
        "--each", action="store_true", help="paint every photo once in each style that is given, not in their mixture"
    )
    parser.add_argument(
        "--jobs",
        type=number_within(int, *JOBS_RANGE),
        metavar="N",
        help=f"with many pictures, how many to work on at a time ({JOBS_RANGE[0]}-{JOBS_RANGE[1]}, default "
        f"{DEFAULT_JOBS}); more may be faster with many cores, and take more memory",
    )
    stroke_size = FastSettings().stroke_size
    text = "size of the strokes, in percent of the trained size"
    add_number(parser, "--stroke-size", STROKE_SIZE_RANGE, stroke_size, text)
    text = "how much detail, such as faces and lettering, a style keeps, if it has this setting (0-100)"
    parser.add_argument("--detail", type=number_within(float, *DETAIL_RANGE), metavar="N", help=text)
    parser.add_argument(
        "--full-resolution",
        action="store_true",
        help="give the strokes a fixed size in pixels of the photo itself, which looks finer the larger the photo is; "
        "by default their size is relative to the picture",
    )
    text = "the most memory that the whole program may take, in GiB, in a trained style; default: all that is free"
    parser.add_argument("--max-memory", type=number_within(float, *MAX_MEMORY_RANGE), metavar="GIB", help=text)
    add_film_options(parser)


def run(options: argparse.Namespace) -> Report:
    """Paint the photo, or many, and write the results."""
    settings = FastSettings(
        stroke_size=options.stroke_size,
        full_resolution=options.full_resolution,
        detail=options.detail,
        device=options.device,
        blend=BlendSettings(options.strength, bool(keeps_colors(options))),
        max_memory=options.max_memory,
    )
    named = options.styles or []
    if not (named or options.regions):
        raise StyleError("Give a style with --style, --style-image or --region.")
    groups = [[text] for text in named] if options.each else [named]
    if is_film(options):
        check_one_photo(options)
        return _paint_film(options, groups, settings)
    if is_batch(options, len(groups)):
        check_one_photo(options)
        return _paint_many(options, groups, settings)
    options = of_photo(options, options.photos[0], options.output)
    if options.regions:
        if options.colors in (PHOTOS_BEFORE, COLORS_ONLY):
            raise StyleError(f"--colors {options.colors} is for one style; leave it out with --region.")
        return paint_in_regions(options, settings)
    return _paint(options, chosen_style(options, named, settings))


def _paint(options: argparse.Namespace, style: InStyle) -> Report:
    """Paint ``options.photo`` in a style."""
    from plugin.cli.picture_files import check_result, write_picture

    check_picture_output(options.output)
    inputs = [("photo", options.photo), *mask_files(options), *(("style", path) for path in style.files)]
    check_apart([("output", options.output)], inputs)
    source = read_photo(options)
    check_result(options.output, source)
    result = run_stoppable(lambda stopper: style.paint(source.picture, stopper))
    write_picture(source, result.pixels, options.output)
    provider, seconds = result.provider, result.seconds
    for note in result.notes:
        say(options, note)
    say(options, f"{options.output}: {style.titles}, {provider}, {seconds['total']:.1f} s")
    return painting_report(options, result.pixels, seconds) | {
        "style": style.described,
        "provider": provider.name,
        "provider_reason": provider.reason,
        "notes": [*source.notes, *result.notes],
    }


def _paint_film(options: argparse.Namespace, groups: Sequence[Sequence[str]], settings: FastSettings) -> Report:
    if len(groups) > 1:
        raise StyleError("A film is painted in one style at a time; leave out --each.")
    return paint_film_file(options, chosen_style(options, groups[0], settings))


def _paint_many(options: argparse.Namespace, groups: Sequence[Sequence[str]], settings: FastSettings) -> Report:
    from plugin.cli.picture_files import allowed_by, check_result, read_picture, write_picture

    styles = [chosen_style(options, texts, settings) for texts in groups]
    plan = plan_pictures(options, [style.name for style in styles], [path for style in styles for path in style.files])
    for style in styles:
        style.prepare()
    notes: set[str] = set()

    def paint_all(batch: Batch) -> None:
        def work(stopper: Stopper) -> None:
            def paint(task: BatchTask) -> None:
                source = read_picture(task.source, allowed_by(options))
                check_result(task.target, source)
                result = styles[task.style].paint(source.picture, stopper)
                write_picture(source, result.pixels, task.target)
                notes.update(source.notes, result.notes)

            batch.run(paint, lambda: show(batch.done), options.jobs or DEFAULT_JOBS, stopper)

        with picture_bar(len(batch.tasks)) as show:
            run_stoppable(work)

    return paint_pictures(options, plan, paint_all, notes) | {"styles": [style.described for style in styles]}
