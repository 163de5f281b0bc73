"""The options of ``apply`` that name a style: trained ones, any pictures, or a mixture of both."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nst_core.base.errors import StyleError
from plugin.cli.many_pictures import InStyle, Paint, Prepare
from plugin.cli.options import add_number
from plugin.cli.style_names import NamedStyles, read_style_names
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.imaging.blend_settings import COLORS_ONLY, PHOTOS_BEFORE
from plugin.engine.instant.instant_settings import READ_PIXELS, SWAP_RANGE, InstantSettings
from plugin.engine.progress import Stopper

if TYPE_CHECKING:
    from plugin.engine.fast.fast_painting import FastResult
    from plugin.engine.imaging.picture import Picture
    from plugin.engine.instant.instant_painting import InstantResult

SWAPS = {
    "motifs": "with a picture as the style: how far its large shapes replace the photo's, in percent",
    "brushwork": "with a picture as the style: how far its strokes replace the photo's, in percent",
}


def add_styles(parser: argparse.ArgumentParser) -> None:
    """Add ``--style`` and ``--style-image``, which take the same, and the sliders of pictures."""
    styles = parser.add_mutually_exclusive_group()
    styles.add_argument(
        "--style",
        action="append",
        dest="styles",
        metavar="STYLE",
        help="a style's name, an .onnx style file, any picture, or a mixture such as great-wave:0.6,painting.jpg:0.4; "
        "repeat the option to mix several",
    )
    styles.add_argument(
        "--style-image",
        action="append",
        dest="styles",
        metavar="PAINTING",
        help="the same as --style",
    )
    default = InstantSettings()
    for name, text in SWAPS.items():
        add_number(parser, f"--{name}", SWAP_RANGE, getattr(default, name), text)


def chosen_style(options: argparse.Namespace, texts: Sequence[str], settings: FastSettings) -> InStyle:
    """Return the style that ``texts`` name. Raises StyleError for those that cannot be used."""
    from plugin.engine.instant.instant_painting import check_count

    named = read_style_names(texts)
    check_count(len(named.pictures))
    has_detail = named.pictures or any(style.has_detail for style in named.trained)
    if settings.detail is not None and not has_detail:
        raise StyleError(f"{named.titles} does not have the detail setting; leave out --detail.")
    if named.trained and options.colors in (PHOTOS_BEFORE, COLORS_ONLY):
        raise StyleError(
            f"--colors {options.colors} takes the colours of a picture, which a trained style does not have; give a "
            "picture as the style, or use --colors photo."
        )
    files = (*(style.path for style in named.trained), *named.pictures)
    paint, prepare = (_mixture if named.pictures else _trained)(options, named, settings)
    return InStyle(named.short_name, named.titles, named.described, files, paint, prepare)


def _trained(options: argparse.Namespace, named: NamedStyles, settings: FastSettings) -> tuple[Paint, Prepare]:
    from plugin.engine.fast.fast_painting import open_styles, paint_fast

    def paint(picture: Picture, stopper: Stopper) -> FastResult:
        return paint_fast(picture, named.trained, settings, stopper=stopper)

    return paint, lambda: open_styles(named.trained, options.device)


def _mixture(options: argparse.Namespace, named: NamedStyles, settings: FastSettings) -> tuple[Paint, Prepare]:
    from plugin.cli.picture_files import read_input
    from plugin.engine.imaging.colour_matching import with_photo_colours
    from plugin.engine.instant.mixed_painting import paint_mixture, take_colours

    pictures = {read_input(options, path, READ_PIXELS): share for path, share in named.pictures.items()}
    instant = InstantSettings(options.motifs, options.brushwork, settings)

    def paint(picture: Picture, stopper: Stopper) -> InstantResult:
        if options.colors == COLORS_ONLY:
            return take_colours(picture, pictures, settings.blend)
        styles = with_photo_colours(pictures, picture) if options.colors == PHOTOS_BEFORE else pictures
        return paint_mixture(picture, styles, named.trained, instant, stopper=stopper)

    return paint, lambda: None
