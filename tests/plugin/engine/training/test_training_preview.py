import numpy as np
import pytest

torch = pytest.importorskip("torch")
from PIL import Image

from nst_core.base.errors import StyleError
from plugin.engine.training.training_preview import write_training_preview


def test_preview_of_many_styles_has_a_dozen_rows(tmp_path):
    path = tmp_path / "x.preview.jpg"
    paintings = torch.zeros(14, 2, 3, 8, 16)
    paintings[11] = 1.0
    write_training_preview(paintings, path)
    picture = np.array(Image.open(path))
    assert picture.shape == (12 * 8, 2 * 16, 3)
    assert picture[-8:].min() > 250 and picture[:-8].max() < 5


def test_unwritable_preview_leaves_the_old_one(tmp_path, full_disk):
    path = tmp_path / "x.preview.jpg"
    write_training_preview(torch.zeros(1, 2, 3, 8, 8), path)
    before = path.read_bytes()
    with full_disk(), pytest.raises(StyleError, match="free some space"):
        write_training_preview(torch.rand(4, 4, 3, 32, 32), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
