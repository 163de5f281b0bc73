"""Tables (CSV) and plots of losses."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from nst_core.base.errors import StyleError
from plugin.cli.outputs import write_file

LOSSES_SUFFIXES = {".csv", ".png"}


def check_matplotlib() -> None:
    """Raise StyleError, saying what to do, if plots cannot be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise StyleError("Plots need matplotlib, which is not installed; install it with `pip install matplotlib`.")


def write_table(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    """Write a CSV file with a line for each of ``rows`` and a column for each name in any of them."""
    text = io.StringIO()
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()})
    write_file(path, text.getvalue().encode())


def write_losses(title: str, rows: Sequence[Mapping[str, float]], path: Path) -> None:
    """Write losses as a table (.csv) or as a plot (.png).

    ``iteration`` of each row is the number of iterations before its losses. The plot has a logarithmic axis; a value of
    0 leaves a gap.
    """
    if path.suffix.lower() == ".csv":
        write_table(rows, path)
        return
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name in rows[0]:
        if name != "iteration":
            line = [[row[key] for row in rows] for key in ("iteration", name)]
            axes.plot(*line, label=name, linewidth=2.5 if name == "total" else 1.3)
    axes.set_yscale("log", nonpositive="mask")
    ends = [value for name, value in rows[-1].items() if name != "iteration" and value > 0]
    if ends:  # the content loss begins close to 0, which would leave the other losses little of the height
        axes.set_ylim(bottom=max(axes.get_ylim()[0], min(ends) / 10))
    axes.set(title=title, xlabel="iterations", ylabel="weighted loss")
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png", dpi=120)
    write_file(path, encoded.getvalue())
