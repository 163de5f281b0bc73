"""The results of a study before they are drawn or written: pictures with labels, and rows of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

Row = Mapping[str, float | str]


@dataclass(frozen=True, eq=False)
class Cell:
    """A picture on a sheet, uint8 [h, w, 3], and the caption below it."""

    picture: np.ndarray
    caption: str = ""


@dataclass(frozen=True, eq=False)
class Sheet:
    """Rows of pictures under column labels, with a label at the left of each row; None leaves a gap."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell | None]]]


@dataclass(frozen=True, eq=False)
class Findings:
    """The results of a study: the sheet, a row of numbers for each result, and loss curves.

    Each of ``losses`` has an ``iteration`` and the losses at it by name; empty if the study has none to show.
    """

    sheet: Sheet
    rows: Sequence[Row]
    losses: Sequence[Mapping[str, float]] = field(default_factory=list)
