"""Masks on the command line: their options, reading them, and ``--protect``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nst_core.base.errors import StyleError
from plugin.cli.options import add_number
from plugin.cli.outputs import NamedPath
from plugin.cli.reports import say
from plugin.engine.imaging.blend_settings import STRENGTH_RANGE
from plugin.engine.regions.region_settings import FEATHER_RANGE, PROTECTED_STRENGTH, RegionSettings

if TYPE_CHECKING:
    import numpy as np

    from plugin.cli.picture_files import PictureFile
    from plugin.engine.imaging.picture import Picture


def add_masks(parser: argparse.ArgumentParser) -> None:
    """Add ``--protect``, and ``--feather`` for all masks."""
    group = parser.add_argument_group("masks", "pictures that are white where they count")
    group.add_argument(
        "--protect", type=Path, metavar="MASK", help="mask of the area to protect from the style, such as faces"
    )
    text = "percent of the style that remains in the protected area"
    add_number(group, "--protected-strength", STRENGTH_RANGE, PROTECTED_STRENGTH, text)
    text = "pixels of the photo over which the edges of masks soften on each side"
    add_number(group, "--feather", FEATHER_RANGE, RegionSettings().feather, text)


def read_photo(options: argparse.Namespace) -> PictureFile:
    """Read the photo with the mask of ``--protect``, and tell the user what was not used."""
    from plugin.cli.picture_files import allowed_by, read_picture
    from plugin.engine.regions.masks import feathered, protected

    source = read_picture(options.photo, allowed_by(options))
    for note in source.notes:
        say(options, note)
    if options.protect is None:
        return source
    mask = feathered(read_mask(options, options.protect, source.picture), options.feather)
    return replace(source, picture=protected(source.picture, mask, options.protected_strength))


def read_mask(options: argparse.Namespace, path: Path, photo: Picture) -> np.ndarray:
    """Read a mask for a photo: float32 [H, W] in 0..1. Tell the user how it was adapted."""
    from plugin.cli.picture_files import read_input
    from plugin.engine.regions.masks import mask_of

    mask, notes = mask_of(read_input(options, path), photo.height, photo.width, str(path))
    for note in notes:
        say(options, note)
    return mask


def mask_files(options: argparse.Namespace) -> list[NamedPath]:
    """Return the files that the options for masks read, besides those of ``--region``."""
    return [("mask of --protect", options.protect)]


def check_one_photo(options: argparse.Namespace) -> None:
    """Raise StyleError for options that fit only one photo."""
    for flag, value in (("--region", getattr(options, "regions", None)), ("--protect", options.protect)):
        if value:
            raise StyleError(f"{flag} is for one photo, which its mask fits; leave it out, or paint only one photo.")
