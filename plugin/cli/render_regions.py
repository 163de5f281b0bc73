"""``render --region`` and ``--style-mask``: several paintings in one render, and parts of paintings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nst_core.base.errors import StyleError
from plugin.cli.mask_options import read_mask
from plugin.cli.outputs import NamedPath
from plugin.cli.region_options import RegionText, split_region
from plugin.engine.regions.region_settings import NO_STYLE

if TYPE_CHECKING:
    from plugin.engine.imaging.picture import Picture
    from plugin.engine.iterative.iterative_regions import RenderRegions


def add_render_regions(parser: argparse.ArgumentParser) -> None:
    """Add ``--region`` and ``--style-mask``."""
    parser.add_argument(
        "--region",
        action="append",
        dest="regions",
        metavar="MASK=PICTURE",
        help=f"paint where MASK is white in the style of another picture, or {NO_STYLE} to keep the photo; up to eight "
        "times. The rest has --style-image, or stays a photo",
    )
    parser.add_argument(
        "--style-mask",
        action="append",
        dest="style_masks",
        metavar="[PICTURE=]MASK",
        help="take the style only from the part of the picture where MASK is white; without PICTURE, of --style-image",
    )


def with_style_image(options: argparse.Namespace) -> argparse.Namespace:
    """Return the options with ``regions`` read, and a style picture even if only regions have one.

    ``rest_image`` is then the picture of ``--style-image``, or None. Raises StyleError if there is no style picture.
    """
    regions = [split_region(text) for text in options.regions or ()]
    pictures = [_picture_of(region) for region in regions]
    first = options.style_image or next(filter(None, pictures), None)
    if first is None:
        raise StyleError("Give a painting with --style-image or --region.")
    return argparse.Namespace(
        **vars(options) | {"regions": regions, "style_image": first, "rest_image": options.style_image}
    )


def region_files(options: argparse.Namespace) -> list[NamedPath]:
    """Return the masks and the style pictures that the regions and ``--style-mask`` name."""
    files: list[NamedPath] = [("mask", region.mask) for region in options.regions]
    files += [("style picture", _picture_of(region)) for region in options.regions]
    return files + [("mask of a style picture", mask) for _picture, mask in _style_masks(options)]


def read_regions(options: argparse.Namespace, photo: Picture) -> RenderRegions | None:
    """Read the regions of a photo and their style pictures; None if one whole picture has the whole photo."""
    from plugin.cli.picture_files import read_input
    from plugin.engine.iterative.iterative_regions import PictureStyle, RenderRegion, RenderRegions

    masks = dict(_style_masks(options))
    if not (options.regions or masks):
        return None
    styles: dict[Path, PictureStyle] = {}

    def style_of(path: Path | None) -> PictureStyle | None:
        if path is None:
            return None
        if path not in styles:
            picture, mask = read_input(options, path), masks.get(path)
            styles[path] = PictureStyle(picture, None if mask is None else read_mask(options, mask, picture))
        return styles[path]

    regions = [
        RenderRegion(read_mask(options, region.mask, photo), style_of(_picture_of(region)))
        for region in options.regions
    ]
    return RenderRegions(style_of(options.rest_image), tuple(regions), options.feather)


def _picture_of(region: RegionText) -> Path | None:
    if region.style.lower() == NO_STYLE:
        return None
    if not Path(region.style).is_file():
        raise StyleError(
            f"There is no picture {region.style}; a render takes pictures as styles, and `neural-style apply` trained "
            "styles too."
        )
    return Path(region.style)


def _style_masks(options: argparse.Namespace) -> list[tuple[Path, Path]]:
    """Return the style pictures that have masks, and the masks."""
    pictures = {path for path in (options.rest_image, *map(_picture_of, options.regions)) if path is not None}
    pairs = []
    for text in options.style_masks or ():
        ends = [position for position, letter in enumerate(text) if letter == "="]
        named = [(Path(text[:end]), Path(text[end + 1 :])) for end in reversed(ends) if Path(text[:end]) in pictures]
        if not named and options.rest_image is None:
            raise StyleError(f"{text} names no style picture; write --style-mask as in painting.jpg=mask.png.")
        picture, mask = named[0] if named else (options.rest_image, Path(text))
        pairs.append((picture, mask))
    return pairs
