import tarfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from PIL import Image

from nst_core.base.errors import StyleError
from nst_core.pictures.photos import HeldPhotos, Photos


def test_broken_and_tiny_files_are_skipped(photos_folder, tmp_path):
    for path in photos_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    Image.new("RGB", (10, 10)).save(tmp_path / "tiny.png")
    (tmp_path / "notes.txt").write_text("no picture")
    photos = Photos(tmp_path, 64)
    assert len(photos) == 12 and photos.skipped == ["broken.jpg", "tiny.png"]


def test_next_photo_replaces_a_damaged_one(photos_folder, tmp_path):
    for path in photos_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    sound = Photos(tmp_path, 64)
    due, following, *_ = sound._order(1, 0)
    name = sound.names[due]
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:3000])
    photos = Photos(tmp_path, 64)
    assert len(photos) == 12 and photos.skipped == []
    batch = photos.batch(0, 2, 64, seed=1)
    assert photos.skipped == [name]
    rng = np.random.default_rng([1, 0])
    assert torch.equal(batch, torch.stack([photos.crop(following, 64, rng) for _ in range(2)]).float() / 255)
    photos.batch(0, 2, 64, seed=1)
    assert photos.skipped == [name]

    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(StyleError, match="Every photo"):
        photos.batch(0, 2, 64, seed=1)


def test_tar_gives_the_batches_of_its_folder(photos_folder, tmp_path):
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        for path in sorted(photos_folder.iterdir()):
            tar.add(path, path.name)
    folder, tar = Photos(photos_folder, 64), Photos(tmp_path / "photos.tar", 64)
    assert torch.equal(folder.batch(3, 4, 64, seed=1), tar.batch(3, 4, 64, seed=1))


def test_batches_depend_on_seed_and_step_alone(photos_folder):
    photos = Photos(photos_folder, 64)
    batch = photos.batch(5, 4, 64, seed=1)
    assert batch.shape == (4, 3, 64, 64) and batch.dtype == torch.float32 and batch.min() >= 0 and batch.max() <= 1
    photos.batch(6, 4, 64, seed=1)
    assert torch.equal(batch, photos.batch(5, 4, 64, seed=1))
    assert not torch.equal(batch, photos.batch(5, 4, 64, seed=2))


def test_parts_of_a_batch_add_up_to_it(samples, tmp_path):
    """The photos have different shapes."""
    for number, size in enumerate([(100, 190), (150, 150), (230, 80), (90, 91), (170, 120)]):
        Image.open(samples / "coffee.jpg").resize(size).save(tmp_path / f"{number}.png")
    photos = Photos(tmp_path, 64)
    for step in range(5):
        parts = [photos.batch(step, 6, 48, seed=1, part=part) for part in (slice(0, 2), slice(2, 5), slice(5, 6))]
        assert torch.equal(torch.cat(parts), photos.batch(step, 6, 48, seed=1))


def test_held_photos_give_nearly_the_same_batches(photos_folder):
    """Pillow also rounds and clips between its two directions."""
    photos = Photos(photos_folder, 64)
    held = HeldPhotos(photos, 150, torch.device("cpu"))
    assert len(held) == 12
    for step in (0, 5):
        difference = 255 * (held.batch(step, 4, 64, 1, least=0.4) - photos.batch(step, 4, 64, 1, least=0.4)).abs()
        assert difference.max() < 10 and difference.quantile(0.99) < 1 and difference.mean() < 0.5
    parts = [held.batch(5, 4, 64, seed=1, part=part) for part in (slice(0, 1), slice(1, 4))]
    assert torch.equal(torch.cat(parts), held.batch(5, 4, 64, seed=1))


def test_large_photos_are_scaled_down_when_held(samples, tmp_path):
    Image.open(samples / "coffee.jpg").resize((320, 210)).save(tmp_path / "wide.png")
    photos = Photos(tmp_path, 64)
    held = HeldPhotos(photos, 100, torch.device("cpu"))
    (picture,) = held._pictures
    assert picture.shape == (3, 100, 152) and picture.dtype == torch.uint8
    assert abs(held.batch(0, 1, 64, 1).mean() - photos.batch(0, 1, 64, 1).mean()) < 0.02


def test_damaged_photos_are_not_held(photos_folder, tmp_path):
    for path in photos_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[: 3000 if path.name == "05.png" else None])
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    held = HeldPhotos(Photos(tmp_path, 64), 150, torch.device("cpu"))
    assert len(held) == 11 and held.skipped == ["broken.jpg", "05.png"]
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(StyleError, match="Every photo"):
        HeldPhotos(Photos(tmp_path, 64), 150, torch.device("cpu"))


def test_each_pass_has_every_photo_once_in_its_own_order(photos_folder):
    photos = Photos(photos_folder, 64)
    passes = [[photos._order(7, sample)[0] for sample in range(start, start + 12)] for start in (0, 12)]
    assert sorted(passes[0]) == sorted(passes[1]) == list(range(12))
    assert passes[0] != passes[1]


def test_crops_differ_in_scale(photos_folder):
    photos = Photos(photos_folder, 64)
    rng = np.random.default_rng(0)
    assert len({photos.crop(0, 32, rng).numpy().tobytes() for _ in range(8)}) == 8


@pytest.mark.parametrize("make", ["missing", "empty", "text"])
def test_source_without_photos_is_refused(tmp_path, make):
    source = tmp_path / "photos"
    if make == "empty":
        source.mkdir()
    elif make == "text":
        source.write_text("no tar")
    with pytest.raises(StyleError, match="photos"):
        Photos(source, 64)
