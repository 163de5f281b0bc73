import numpy as np
import pytest
from PIL import Image

from benchmarks import strokes
from plugin.cli.picture_files import read_picture
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.picture import Picture


def test_sheet_shows_stroke_sizes_and_strengths(samples, tmp_path):
    photo = tmp_path / "photo.png"
    with Image.open(samples / "chelsea.jpg") as image:
        image.resize((120, 80)).save(photo)
    strokes.main([str(photo), str(tmp_path / "sheets"), "--style", "udnie"])
    with Image.open(tmp_path / "sheets" / "udnie.jpg") as sheet:
        assert sheet.format == "JPEG" and sheet.width > 3 * 120 and sheet.height > 3 * 80

    (style,) = find_styles("udnie")
    sheet = strokes.stroke_sheet(Picture(read_picture(photo).picture.pixels), style)
    whole, detail, mixed = (cells for _, cells in sheet.rows)
    assert [cell.caption for cell in mixed] == ["strength 0 %", "strength 50 %", "strength 100 %"]
    with Image.open(photo) as image:
        assert np.abs(mixed[0].picture.astype(int) - np.array(image.convert("RGB"))).max() <= 1
    assert np.array_equal(mixed[2].picture, detail[1].picture)
    assert len({cell.picture.tobytes() for cell in whole}) == 3


def test_bad_input_gives_one_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        strokes.main([str(tmp_path / "none.jpg"), str(tmp_path), "--style", "udnie"])
    assert capsys.readouterr().err.startswith("strokes: ")
