"""Strength and stroke size at their ends and between, for the eye: a sheet for each style.

    python -m benchmarks.strokes PHOTO OUT --style starry-night --style udnie

OUT gets STYLE.jpg for each: the whole photo at stroke sizes of 50, 100 and 200 %, below it a detail of each pixel for
pixel, and the same detail at strengths of 0 to 100 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.yardstick import one_sentence
from nst_core.studies.sheets import Cell, Sheet
from nst_core.style_file import Style
from plugin.cli.figures.sheet_page import write_sheet
from plugin.cli.picture_files import read_picture
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.picture import Picture

SIZES = (50, 100, 200)
STRENGTHS = (0, 50, 100)
WHOLE = 300  # pixels of the longer side
DETAIL = 300  # pixels of a side


@one_sentence("strokes")
def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    photo = read_picture(options.photo).picture
    options.out.mkdir(parents=True, exist_ok=True)
    for style in (style for name in options.style for style in find_styles(name)):
        write_sheet(sheet(photo, style), options.out / f"{style.name}.jpg")


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("photo", type=Path, metavar="PHOTO")
    found.add_argument("out", type=Path, metavar="OUT")
    found.add_argument(
        "--style", action="append", required=True, metavar="STYLE", help="a name or a file; once for each"
    )
    return found


def sheet(photo: Picture, style: Style) -> Sheet:
    """The sheet of one style."""
    sized = [painted(photo, style, FastSettings(stroke_size=size)) for size in SIZES]
    mixed = [painted(photo, style, FastSettings(blend=BlendSettings(strength))) for strength in STRENGTHS]
    rows = [
        ("whole", [Cell(whole(picture), f"stroke size {size} %") for size, picture in zip(SIZES, sized, strict=True)]),
        (
            "detail",
            [Cell(detail(picture), f"stroke size {size} %") for size, picture in zip(SIZES, sized, strict=True)],
        ),
        ("detail", [Cell(detail(p), f"strength {strength} %") for strength, p in zip(STRENGTHS, mixed, strict=True)]),
    ]
    return Sheet(style.title, [""] * len(SIZES), rows)


def painted(photo: Picture, style: Style, settings: FastSettings) -> np.ndarray:
    """The result, uint8 [H, W, 3]."""
    pixels = paint_fast(photo, {style: 1.0}, settings).pixels[..., :3]
    return np.round(pixels.clip(0, 1) * 255).astype(np.uint8)


def whole(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(picture)
    image.thumbnail((WHOLE, WHOLE), Image.Resampling.LANCZOS)
    return np.array(image)


def detail(picture: np.ndarray) -> np.ndarray:
    """The middle, pixel for pixel."""
    top, left = (max(0, (extent - DETAIL) // 2) for extent in picture.shape[:2])
    return picture[top : top + DETAIL, left : left + DETAIL]


if __name__ == "__main__":
    main()
