import csv

import numpy as np
import pytest
from PIL import Image

from plugin.cli.figures.plots import write_losses, write_table


def test_table_has_a_column_for_every_name(tmp_path):
    write_table([{"name": "a, b", "x": 1.0 / 3}, {"name": "c", "y": 2}], tmp_path / "t.csv")
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"name": "a, b", "x": "0.333333", "y": ""}, {"name": "c", "x": "", "y": "2"}]


def test_losses_are_written_as_table_and_as_plot(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [{"iteration": n, "total": 1 / n, "a style": 0.0} for n in range(1, 9)]
    write_losses("Losses", rows, tmp_path / "l.csv")
    assert (tmp_path / "l.csv").read_text().splitlines()[:2] == ["iteration,total,a style", "1,1,0"]
    write_losses("Losses", rows, tmp_path / "l.png")
    write_losses("Losses", [{**row, "total": 5.0} for row in rows], tmp_path / "flat.png")
    rising = [{**row, "content": 1e-9 if row["iteration"] == 1 else 1.0} for row in rows]
    write_losses("Losses", rising, tmp_path / "rising.png")
    drawn = np.array(Image.open(tmp_path / "rising.png").convert("RGB")).astype(int)
    falls = np.nonzero((drawn[:, :650, 2] - drawn[:, :650, 0] > 60).any(1))[0]  # the first line, left of the legend
    assert np.ptp(falls) > 0.3 * len(drawn)  # and not an eighth of nine decades
    falling, flat = (np.array(Image.open(tmp_path / name).convert("RGB")).astype(int) for name in ("l.png", "flat.png"))
    assert min(falling.shape[:2]) > 400 and falling.std() > 5
    assert falling.shape == flat.shape and np.abs(falling - flat).max() > 100
