"""``neural-style apply``: paint a photo in a trained style or in that of any picture, through ONNX Runtime."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nst_core.base.errors import StyleError
from nst_core.style_file import DETAIL_RANGE
from plugin.cli.options import add_number, add_picture, number_within
from plugin.cli.outputs import check_apart, check_picture_output
from plugin.cli.reports import Report, painting_report, say
from plugin.cli.style_image import add_style_pictures, paint_in_style_of_pictures
from plugin.cli.terminal import run_stoppable
from plugin.engine.fast.fast_settings import STROKE_SIZE_RANGE, FastSettings
from plugin.engine.imaging.blend_settings import BlendSettings

if TYPE_CHECKING:
    from plugin.engine.fast.fast_painting import FastResult
    from plugin.engine.progress import Stopper

SUMMARY = "Paint a photo in a bundled style, one of your own, or the style of any picture."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``apply``."""
    add_picture(parser)
    styles = parser.add_mutually_exclusive_group(required=True)
    styles.add_argument(
        "--style",
        metavar="STYLE",
        help="a style's name, a mixture such as great-wave:0.6,udnie:0.4, or an .onnx style file",
    )
    add_style_pictures(parser, styles)
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


def run(options: argparse.Namespace) -> Report:
    """Paint the photo and write it."""
    from plugin.cli.picture_files import check_result, read_picture, write_picture
    from plugin.engine.fast.fast_painting import paint_fast
    from plugin.engine.fast.style_library import find_styles

    settings = FastSettings(
        stroke_size=options.stroke_size,
        full_resolution=options.full_resolution,
        detail=options.detail,
        device=options.device,
        blend=BlendSettings(options.strength, bool(options.keep_colors)),
    )
    if options.style_images:
        return paint_in_style_of_pictures(options, settings)
    styles = find_styles(options.style)
    if options.detail is not None and not any(style.has_detail for style in styles):
        raise StyleError(f"{' + '.join(style.title for style in styles)} has no choice of detail; leave out --detail.")
    check_picture_output(options.output)
    inputs = [("photo", options.photo), *(("style file", style.path) for style in styles)]
    check_apart([("output", options.output)], inputs)
    source = read_picture(options.photo, options.allow_damaged)
    check_result(options.output, source)
    for note in source.notes:
        say(options, note)

    def paint(stopper: Stopper) -> FastResult:
        return paint_fast(source.picture, styles, settings, stopper=stopper)

    result = run_stoppable(paint)
    write_picture(source, result.pixels, options.output)
    titles = " + ".join(style.title for style in styles)
    provider, seconds = result.provider, result.seconds
    say(options, f"{options.output}: {titles}, by {provider.name} ({provider.reason}), {seconds['total']:.1f} s")
    return painting_report(options, result.pixels, seconds) | {
        "style": ",".join(f"{style.name}:{share:g}" if share < 1 else style.name for style, share in styles.items()),
        "provider": provider.name,
        "provider_reason": provider.reason,
        "notes": list(source.notes),
    }
