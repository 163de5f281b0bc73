"""``neural-style apply``: paint photos in a trained style or in that of any picture, through ONNX Runtime."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nst_core.base.errors import StyleError
from nst_core.style_file import DETAIL_RANGE, Style
from plugin.cli.films import add_film_options, is_film, paint_film_file
from plugin.cli.many_pictures import InStyle, is_batch, of_photo, paint_pictures, plan_pictures
from plugin.cli.mask_options import add_masks, check_one_photo, mask_files, read_photo
from plugin.cli.options import add_number, add_pictures, number_within
from plugin.cli.outputs import check_apart, check_picture_output
from plugin.cli.region_options import add_regions, paint_in_regions
from plugin.cli.reports import Report, painting_report, say
from plugin.cli.style_image import add_style_pictures, paint_in_style_of_pictures, style_of_pictures
from plugin.cli.terminal import picture_bar, run_stoppable
from plugin.engine.batch.batch_plan import BatchTask
from plugin.engine.batch.batch_run import JOBS_RANGE, Batch
from plugin.engine.fast.fast_settings import STROKE_SIZE_RANGE, FastSettings
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.progress import Stopper

if TYPE_CHECKING:
    from plugin.engine.fast.fast_painting import FastResult
    from plugin.engine.imaging.picture import Picture

# One picture is read or written while another is painted.
DEFAULT_JOBS = 2
SUMMARY = "Paint a photo, many, or a film, in a bundled style, one of your own, or the style of any picture."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``apply``."""
    add_pictures(parser)
    styles = parser.add_mutually_exclusive_group()
    styles.add_argument(
        "--style",
        action="append",
        dest="styles",
        metavar="STYLE",
        help="a style's name, a mixture such as great-wave:0.6,udnie:0.4, or an .onnx style file; several, given "
        "again, are mixed",
    )
    add_style_pictures(parser, styles)
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
    text = "how much of faces, lettering and other detail a style keeps, if it has this choice (0-100)"
    parser.add_argument("--detail", type=number_within(float, *DETAIL_RANGE), metavar="N", help=text)
    parser.add_argument(
        "--full-resolution",
        action="store_true",
        help="give the strokes a fixed size in pixels of the photo itself, which looks finer the larger the photo is; "
        "by default their size is relative to the picture",
    )
    add_film_options(parser)


def run(options: argparse.Namespace) -> Report:
    """Paint the photo, or many, and write the results."""
    settings = FastSettings(
        stroke_size=options.stroke_size,
        full_resolution=options.full_resolution,
        detail=options.detail,
        device=options.device,
        blend=BlendSettings(options.strength, bool(options.keep_colors)),
    )
    named = options.style_images or options.styles or []
    if not (named or options.regions):
        raise StyleError("Give a style with --style, --style-image or --region.")
    groups = [[text] for text in named] if options.each else [named]
    if is_film(options.output) or any(map(is_film, options.photos)):
        return _paint_film(options, groups, settings)
    if is_batch(options, len(groups)):
        check_one_photo(options)
        return _paint_many(options, groups, settings)
    options = of_photo(options, options.photos[0], options.output)
    if options.regions:
        return paint_in_regions(options, settings)
    if options.style_images:
        return paint_in_style_of_pictures(options, settings)
    return _paint(options, _find(options.styles, settings), settings)


def _find(texts: Sequence[str], settings: FastSettings) -> dict[Style, float]:
    """Return the trained styles that are named, and their shares."""
    from plugin.engine.fast.style_library import find_styles

    styles = find_styles(",".join(texts))
    if settings.detail is not None and not any(style.has_detail for style in styles):
        raise StyleError(f"{' + '.join(style.title for style in styles)} has no choice of detail; leave out --detail.")
    return styles


def _paint(options: argparse.Namespace, styles: Mapping[Style, float], settings: FastSettings) -> Report:
    """Paint ``options.photo`` in trained styles."""
    from plugin.cli.picture_files import check_result, write_picture
    from plugin.engine.fast.fast_painting import paint_fast

    check_picture_output(options.output)
    inputs = [("photo", options.photo), *mask_files(options), *(("style file", style.path) for style in styles)]
    check_apart([("output", options.output)], inputs)
    source = read_photo(options)
    check_result(options.output, source)

    def paint(stopper: Stopper) -> FastResult:
        return paint_fast(source.picture, styles, settings, stopper=stopper)

    result = run_stoppable(paint)
    write_picture(source, result.pixels, options.output)
    titles = " + ".join(style.title for style in styles)
    provider, seconds = result.provider, result.seconds
    say(options, f"{options.output}: {titles}, {provider}, {seconds['total']:.1f} s")
    return painting_report(options, result.pixels, seconds) | {
        "style": _described(styles),
        "provider": provider.name,
        "provider_reason": provider.reason,
        "notes": list(source.notes),
    }


def _paint_film(options: argparse.Namespace, groups: Sequence[Sequence[str]], settings: FastSettings) -> Report:
    if len(groups) > 1:
        raise StyleError("A film is painted in one style at a time; leave out --each.")
    find = style_of_pictures if options.style_images else _trained_style
    return paint_film_file(options, find(options, groups[0], settings))


def _paint_many(options: argparse.Namespace, groups: Sequence[Sequence[str]], settings: FastSettings) -> Report:
    from plugin.cli.picture_files import check_result, read_picture, write_picture

    find = style_of_pictures if options.style_images else _trained_style
    styles = [find(options, texts, settings) for texts in groups]
    plan = plan_pictures(options, [style.name for style in styles], [path for style in styles for path in style.files])
    for style in styles:
        style.prepare()
    notes: set[str] = set()

    def paint_all(batch: Batch) -> None:
        def work(stopper: Stopper) -> None:
            def paint(task: BatchTask) -> None:
                source = read_picture(task.source, options.allow_damaged)
                check_result(task.target, source)
                result = styles[task.style].paint(source.picture, stopper)
                write_picture(source, result.pixels, task.target)
                notes.update(source.notes, result.notes)

            batch.run(paint, lambda: show(batch.done), options.jobs or DEFAULT_JOBS, stopper)

        with picture_bar(len(batch.tasks)) as show:
            run_stoppable(work)

    return paint_pictures(options, plan, paint_all, notes) | {"styles": [style.described for style in styles]}


def _trained_style(options: argparse.Namespace, texts: Sequence[str], settings: FastSettings) -> InStyle:
    from plugin.engine.fast.fast_painting import open_styles, paint_fast

    styles = _find(texts, settings)

    def paint(picture: Picture, stopper: Stopper) -> FastResult:
        return paint_fast(picture, styles, settings, stopper=stopper)

    name = "+".join(style.name for style in styles)
    return InStyle(name, _described(styles), (), paint, lambda: open_styles(styles, options.device))


def _described(styles: Mapping[Style, float]) -> str:
    """Return a mixture in the form that ``--style`` takes."""
    return ",".join(f"{style.name}:{share:g}" if share < 1 else style.name for style, share in styles.items())
