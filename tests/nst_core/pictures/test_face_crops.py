import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.pictures.face_crops import FaceCrops, crop_around, read_faces
from nst_core.pictures.photos import Photos


def test_share_of_the_pictures_is_cropped_around_faces(photos_folder):
    photos = Photos(photos_folder, 64)
    faces = {"03.png": [(40, 50, 30, 30)], "missing.png": [(0, 0, 9, 9)]}
    crops = FaceCrops(photos, photos, faces, 0.4)
    replaced = []
    for step in range(25):
        batch, plain = (source.batch(step, 4, 48, 1) for source in (crops, photos))
        assert batch.shape == (4, 3, 48, 48) and batch.min() >= 0 and batch.max() <= 1
        replaced += [not torch.equal(one, other) for one, other in zip(batch, plain, strict=True)]
    assert 25 <= sum(replaced) <= 55
    assert len(crops) == 12 and list(crops.skipped) == []


def test_parts_of_a_batch_with_faces_add_up_to_it(photos_folder):
    photos = Photos(photos_folder, 64)
    crops = FaceCrops(photos, photos, {"03.png": [(40, 50, 30, 30)]}, 0.5)
    parts = [crops.batch(3, 6, 48, 1, part=part) for part in (slice(0, 2), slice(2, 6))]
    assert torch.equal(torch.cat(parts), crops.batch(3, 6, 48, 1))


def test_face_lies_inside_its_crop():
    rng = np.random.default_rng(0)
    for _ in range(300):
        width, height = rng.integers(200, 600, 2)
        side = int(rng.integers(20, 90))
        x, y = (int(rng.integers(0, extent - side)) for extent in (width, height))
        left, top, right, bottom = crop_around((width, height), (x, y, side, side), 128, rng)
        assert 0 <= left <= x and 0 <= top <= y and x + side <= right <= width and y + side <= bottom <= height
        assert right - left == bottom - top >= 71


def test_photos_without_known_faces_are_refused(photos_folder):
    photos = Photos(photos_folder, 64)
    with pytest.raises(StyleError, match="known face"):
        FaceCrops(photos, photos, {"missing.png": [(0, 0, 9, 9)]}, 0.4)


def test_faces_are_read_from_json(tmp_path):
    path = tmp_path / "faces.json"
    path.write_text(json.dumps({"a.jpg": [[1, 2, 30, 40]], "b.jpg": []}))
    assert read_faces(path) == {"a.jpg": [(1, 2, 30, 40)], "b.jpg": []}
    with pytest.raises(StyleError, match="check its name"):
        read_faces(tmp_path / "missing.json")
    for text in (
        "no",
        "[]",
        "1",
        '{"a": 1}',
        '{"a": [[1, 2, 3]]}',
        '{"a": [[0, 0, 0, 5]]}',
        '{"a": ["x"]}',
        "[" * 10**5,
    ):
        path.write_text(text)
        with pytest.raises(StyleError, match="does not list faces"):
            read_faces(path)
