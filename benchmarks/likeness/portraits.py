"""Show portraits in a style as a sheet: the photos, and a row for each detail."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.likeness.measures import FacePhoto, as_pixels, face_photo, paint
from nst_core.base.errors import StyleError
from nst_core.pictures.arrays import as_tensor
from nst_core.pictures.photos import Photos, read_photo_names
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


def read_portraits(folder: Path) -> list[FacePhoto]:
    """Return the photos that faces.txt lists, from train/ and holdout.tar, with their faces.

    Raises StyleError if a photo is missing.
    """
    names, portraits = read_photo_names(folder / "faces.txt"), []
    # The last one is among the held-out photos, whose names are the same as those of training photos.
    for source, wanted in ((folder / "train" / "train.tar", names[:-1]), (folder / "holdout.tar", names[-1:])):
        photos = Photos(source, 48)
        places = {name: index for index, name in enumerate(photos.names)}
        for name in wanted:
            if name not in places:
                raise StyleError(f"{source} has no photo {name}, which faces.txt lists.")
            portrait = face_photo(name, photos.whole(places[name]))
            if portrait is not None:
                portraits.append(portrait)
    return portraits
