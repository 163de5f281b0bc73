"""The files of a study: a sheet of pictures, a table, and a plot and a table of its losses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nst_core.base.errors import StyleError
from plugin.cli.figures.plots import check_matplotlib, write_losses, write_table
from plugin.cli.figures.sheet_page import write_sheet
from plugin.cli.outputs import check_folder

if TYPE_CHECKING:
    from nst_core.studies.sheets import Findings


def check_study_folder(folder: Path) -> None:
    """Raise StyleError if a study could not be drawn or written into ``folder``, which may not exist yet."""
    check_matplotlib()
    if not folder.is_dir():
        if folder.exists():
            raise StyleError(f"{folder} is a file; name a folder for the sheets.")
        check_folder(folder)


def write_study(name: str, findings: Findings, folder: Path) -> list[Path]:
    """Write NAME.png and NAME.csv, and NAME-losses.png and NAME-losses.csv if there are losses; return the paths.

    Makes ``folder`` if it does not exist. Raises StyleError if a file cannot be written.
    """
    folder.mkdir(exist_ok=True)
    sheet, table, plot, losses = study_paths(name, folder)
    write_sheet(findings.sheet, sheet)
    write_table(findings.rows, table)
    if not findings.losses:
        return [sheet, table]
    for path in (plot, losses):
        write_losses(findings.sheet.title, findings.losses, path)
    return [sheet, table, plot, losses]


def study_paths(name: str, folder: Path) -> list[Path]:
    """Return the paths of a study's sheet, its table, the plot of its losses and their table."""
    return [folder / f"{name}{ending}" for ending in (".png", ".csv", "-losses.png", "-losses.csv")]
