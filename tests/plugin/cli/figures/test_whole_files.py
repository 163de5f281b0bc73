import numpy as np
import pytest

from nst_core.base.errors import StyleError
from nst_core.studies.sheets import Cell, Sheet
from plugin.cli.figures.animation import write_animation
from plugin.cli.figures.plots import write_table
from plugin.cli.figures.sheet_page import write_sheet


def test_failed_write_leaves_no_file(tmp_path, full_disk):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    with full_disk():
        for name, write in {
            "s.png": lambda path: write_sheet(Sheet("A", ["b"], [("c", [Cell(noise)])]), path),
            "a.gif": lambda path: write_animation([noise, noise[::-1]], path),
            "t.csv": lambda path: write_table([{"a": n} for n in range(2000)], path),
        }.items():
            with pytest.raises(StyleError, match=f"{name} cannot be written"):
                write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
