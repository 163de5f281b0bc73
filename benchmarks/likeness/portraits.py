"""Show portraits in a style as a sheet: the photos, and a row for each detail."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.likeness.measures import FacePhoto, as_pixels, paint
from nst_core.pictures.arrays import as_tensor
from nst_core.studies.sheets import Cell, Sheet
from nst_core.style_file import Style

PORTRAITS = 6


def portrait_sheet(style: Style, photos: Sequence[FacePhoto], details: Sequence[float | None]) -> Sheet:
    """Return a sheet of PORTRAITS photos, evenly spread over ``photos``, at their own size."""
    chosen = [photos[number * len(photos) // PORTRAITS] for number in range(min(PORTRAITS, len(photos)))]
    rows = [("photo", [Cell(photo.pixels) for photo in chosen])]
    for detail in details:
        paintings = [as_pixels(paint(style, as_tensor(photo.pixels).float() / 255, detail)) for photo in chosen]
        rows.append((detail_title(detail), [Cell(painting) for painting in paintings]))
    return Sheet(style.title, [photo.name for photo in chosen], rows)


def detail_title(detail: float | None) -> str:
    """Return the label of a detail in a table or sheet; None stands for a style without this setting."""
    return "" if detail is None else f"detail {detail:g}"
