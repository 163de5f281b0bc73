"""Show strength and stroke size at their limits and in between: a sheet for each style.

    python -m benchmarks.strokes PHOTO OUT --style starry-night --style udnie

OUT gets STYLE.jpg for each style: the whole photo at stroke sizes of 50, 100 and 200 %, below it a detail of each,
pixel for pixel, and the same detail at strengths of 0, 50 and 100 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measuring.command import exit_on_error, new_parser
from nst_core.studies.sheets import Cell, Sheet
from nst_core.style_file import Style
from plugin.cli.figures.sheet_page import write_sheet
from plugin.cli.picture_files import read_picture
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.picture import Picture

STROKE_SIZES = (50, 100, 200)
STRENGTHS = (0, 50, 100)
SHOWN_SIDE = 300  # longer side of the whole photo in pixels
DETAIL_SIDE = 300  # pixels


@exit_on_error("strokes")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command: write a sheet for each style."""
    parser = new_parser("strokes", __doc__)
    parser.add_argument("photo", type=Path, metavar="PHOTO")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument(
        "--style", action="append", required=True, metavar="STYLE", help="a name or a file; repeat for more styles"
    )
    options = parser.parse_args(arguments)
    photo = Picture(read_picture(options.photo).picture.pixels)  # floats, so paintings are floats too
    options.out.mkdir(parents=True, exist_ok=True)
    for style in (style for name in options.style for style in find_styles(name)):
        write_sheet(stroke_sheet(photo, style), options.out / f"{style.name}.jpg")


def stroke_sheet(photo: Picture, style: Style) -> Sheet:
    """Paint the sheet of one style: a row of whole photos, and two rows of details."""
    sized = [_paint(photo, style, FastSettings(stroke_size=size)) for size in STROKE_SIZES]
    mixed = [_paint(photo, style, FastSettings(blend=BlendSettings(strength))) for strength in STRENGTHS]
    size_captions = [f"stroke size {size} %" for size in STROKE_SIZES]
    strength_captions = [f"strength {strength} %" for strength in STRENGTHS]
    rows = [
        ("whole", [Cell(_whole(p), caption) for caption, p in zip(size_captions, sized, strict=True)]),
        ("detail", [Cell(_detail(p), caption) for caption, p in zip(size_captions, sized, strict=True)]),
        ("detail", [Cell(_detail(p), caption) for caption, p in zip(strength_captions, mixed, strict=True)]),
    ]
    return Sheet(style.title, [""] * len(STROKE_SIZES), rows)


def _paint(photo: Picture, style: Style, settings: FastSettings) -> np.ndarray:
    """Return the painting, uint8 [H, W, 3]."""
    pixels = paint_fast(photo, {style: 1.0}, settings).pixels[..., :3]
    return np.round(pixels.clip(0, 1) * 255).astype(np.uint8)


def _whole(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(picture)
    image.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.LANCZOS)
    return np.array(image)


def _detail(picture: np.ndarray) -> np.ndarray:
    """Return the middle, pixel for pixel."""
    top, left = (max(0, (extent - DETAIL_SIDE) // 2) for extent in picture.shape[:2])
    return picture[top : top + DETAIL_SIDE, left : left + DETAIL_SIDE]


if __name__ == "__main__":
    main()
