"""``apply --region``: each region of a photo in a style of its own."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nst_core.base.errors import StyleError
from plugin.cli.mask_options import mask_files, read_mask, read_photo
from plugin.cli.outputs import NamedPath, check_apart, check_picture_output
from plugin.cli.reports import Report, painting_report, say
from plugin.cli.style_names import read_style_names
from plugin.cli.terminal import run_stoppable
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.instant.instant_settings import READ_PIXELS, InstantSettings
from plugin.engine.progress import Stopper
from plugin.engine.regions.region_settings import NO_STYLE, RegionSettings

if TYPE_CHECKING:
    from nst_core.style_file import Style
    from plugin.engine.imaging.picture import Picture
    from plugin.engine.regions.region_painting import RegionsResult, RegionStyle


def add_regions(parser: argparse.ArgumentParser) -> None:
    """Add ``--region``."""
    parser.add_argument(
        "--region",
        action="append",
        dest="regions",
        metavar="MASK=STYLE",
        help="paint where the picture MASK is white in its own style: a trained one or a mixture, any picture, "
        f"or {NO_STYLE} to keep the photo; up to eight times. The rest has --style or --style-image, or stays a photo",
    )


@dataclass(frozen=True)
class RegionText:
    """The value of a ``--region``: its mask's file, and what it says about the style."""

    mask: Path
    style: str


def paint_in_regions(options: argparse.Namespace, settings: FastSettings) -> Report:
    """Paint each region of ``options.photo`` in its style, and the rest in that of the other options."""
    from plugin.cli.picture_files import check_result, write_picture
    from plugin.engine.regions.region_painting import Region, paint_regions

    check_picture_output(options.output)
    texts = [split_region(text) for text in options.regions]
    reader = _StyleReader(options)
    styles = [reader.read(text.style) for text in texts]
    rest = reader.rest()
    reader.check_detail()
    masks: list[NamedPath] = [("mask", text.mask) for text in texts]
    check_apart([("output", options.output)], [("photo", options.photo), *masks, *mask_files(options), *reader.files])
    source = read_photo(options)
    check_result(options.output, source)
    regions = [
        Region(read_mask(options, text.mask, source.picture), style) for text, style in zip(texts, styles, strict=True)
    ]
    own = RegionSettings(options.feather, InstantSettings(options.motifs, options.brushwork, settings))

    def paint(stopper: Stopper) -> RegionsResult:
        return paint_regions(source.picture, regions, rest, own, stopper=stopper)

    result = run_stoppable(paint)
    write_picture(source, result.pixels, options.output)
    for note in result.notes:
        say(options, note)
    count = "1 region" if len(texts) == 1 else f"{len(texts)} regions"
    say(options, f"{options.output}: {count}, {result.provider or 'no style'}, {result.seconds['total']:.1f} s")
    return painting_report(options, result.pixels, result.seconds) | {
        "regions": [
            {"mask": str(text.mask), "style": text.style, "share": round(share, 4)}
            for text, share in zip(texts, result.coverage, strict=False)
        ],
        "provider": result.provider.name if result.provider else "",
        "provider_reason": result.provider.reason if result.provider else "",
        "notes": [*source.notes, *result.notes],
    }


def split_region(text: str) -> RegionText:
    """Return the parts of ``MASK=STYLE``; the longest name of an existing file is the mask's."""
    ends = [position for position, letter in enumerate(text) if letter == "="]
    for end in reversed(ends):
        if text[:end] and Path(text[:end]).is_file():
            return RegionText(Path(text[:end]), text[end + 1 :].strip())
    if not ends:
        raise StyleError(f"{text} names no style; write a region as in sky.png=starry-night.")
    raise StyleError(
        f"There is no mask {text[: ends[0]]}; check its name, or write a region as in sky.png=starry-night."
    )


class _StyleReader:
    """Reads the styles that regions name, each once.

    Attributes:
        files: the style files and pictures, with what they are.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._styles: dict[str, RegionStyle] = {}
        self._pictures: dict[Path, Picture] = {}
        self._trained: list[Style] = []
        self.files: list[NamedPath] = []

    def read(self, text: str) -> RegionStyle:
        """Return the style that ``text`` names: ``none``, a trained one or a mixture, or pictures.

        Raises StyleError if it names neither.
        """
        if text not in self._styles:
            self._styles[text] = None if text.lower() == NO_STYLE else self._read(text)
        return self._styles[text]

    def rest(self) -> RegionStyle:
        """Return the style of ``--style``, or None."""
        return self.read(",".join(self._options.styles)) if self._options.styles else None

    def check_detail(self) -> None:
        """Raise StyleError if ``--detail`` is given and no style has this setting."""
        if self._options.detail is not None and not any(style.has_detail for style in self._trained):
            raise StyleError("None of the styles has the detail setting; leave out --detail.")

    def _read(self, text: str) -> RegionStyle:
        from plugin.engine.instant.instant_painting import check_count
        from plugin.engine.regions.region_painting import StylePictures, TrainedStyles

        if not text:
            raise StyleError("A region names no style; write it as in sky.png=starry-night.")
        named = read_style_names([text])
        check_count(len(named.pictures))
        self._trained += named.trained
        self.files += [("style", path) for path in (*(style.path for style in named.trained), *named.pictures)]
        if named.pictures and named.trained:
            raise StyleError(f"The region {text} mixes pictures with trained styles; name one kind only.")
        if named.trained:
            return TrainedStyles(named.trained)
        return StylePictures({self._picture(path): share for path, share in named.pictures.items()})

    def _picture(self, path: Path) -> Picture:
        from plugin.cli.picture_files import read_input

        if path not in self._pictures:
            self._pictures[path] = read_input(self._options, path, READ_PIXELS)
        return self._pictures[path]
