"""What a study shows and says, before it is drawn or written: pictures with labels, and rows of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

Row = Mapping[str, float | str]


@dataclass(frozen=True, eq=False)
class Cell:
    """A picture on a sheet, uint8 [h, w, 3], and what stands below it."""

    picture: np.ndarray
    caption: str = ""


@dataclass(frozen=True, eq=False)
class Sheet:
    """Rows of pictures under the labels of the columns, each with its own label at the left; None leaves a gap."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell | None]]]


@dataclass(frozen=True, eq=False)
class Findings:
    """What a study found: the sheet, a row for each of its results, and how losses fell.

    Each of ``losses`` has an ``iteration`` and the losses at it by name; empty if the study has none to show.
    """

    sheet: Sheet
    rows: Sequence[Row]
    losses: Sequence[Mapping[str, float]] = field(default_factory=list)
