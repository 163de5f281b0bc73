import os
import struct
import tarfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import pillow_heif
import pyvips
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from nst_core.base.errors import StyleError
from nst_core.pictures.photos import HeldPhotos, Photos, read_photo_names
from plugin.cli.picture_files import read_picture
from plugin.engine.imaging.picture import network_input


def test_broken_and_tiny_files_are_skipped(photos_folder, tmp_path):
    for path in photos_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    Image.new("RGB", (10, 10)).save(tmp_path / "tiny.png")
    (tmp_path / "notes.txt").write_text("no picture")
    photos = Photos(tmp_path, 64)
    assert len(photos) == 12 and photos.skipped == ["broken.jpg", "tiny.png"]


def test_names_of_photos_are_read_without_comments(tmp_path):
    (tmp_path / "faces.txt").write_text("# photos\n000031.jpg\n\n000154.jpg\n")
    assert read_photo_names(tmp_path / "faces.txt") == ["000031.jpg", "000154.jpg"]
    with pytest.raises(StyleError, match="There is no file"):
        read_photo_names(tmp_path / "missing.txt")


def test_photos_that_are_left_out_are_not_used(photos_folder):
    photos = Photos(photos_folder, 64, left_out={"03.png", "missing.png"})
    assert len(photos) == 11 and "03.png" not in photos.names and photos.skipped == []


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


def odd_exif(orientation):
    """Return an EXIF block with an orientation and a resolution of 0/-1 and 1/0, which Pillow cannot write again."""
    entries = [(0x0112, 3, orientation), (0x011A, 10, 38)]
    block = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + block + struct.pack("<Iii", 0, -1, 0)


def odd_photos(folder):
    """Write one photo of each odd kind, 96 x 64, and return the names of those that cannot be used."""
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8))
    photo.save(folder / "exif.jpg", exif=odd_exif(1))
    photo.save(folder / "exif-cut.jpg", exif=b"Exif\0\0II*\0" + struct.pack("<IH", 8, 200))
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "x" * 1_500_000, zip=True)
    photo.save(folder / "text.png", pnginfo=text)
    photo.save(folder / "whole.tif")
    (folder / "cut.tif").write_bytes((folder / "whole.tif").read_bytes()[:9000])
    photo.save(folder / "whole.png")
    png = (folder / "whole.png").read_bytes()
    for name, damaged in {
        "chunk.png": png[:33] + b"\0\0\0\0\1\2\3\4" + png[33:],
        "header.png": png[:20] + png[8:],
        "huge.png": png[:16] + struct.pack(">II", 100_000, 100_000) + png[24:],
    }.items():
        (folder / name).write_bytes(damaged)
    (folder / "gone.jpg").symlink_to(folder / "nothing.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "endless.jpg").symlink_to("/dev/zero")
    (folder / "folder.jpg").mkdir()
    return {"cut.tif", "chunk.png", "header.png", "huge.png", "gone.jpg", "pipe.jpg", "endless.jpg"}


def test_odd_photos_are_used_or_skipped_and_named(tmp_path):
    unusable = odd_photos(tmp_path)
    photos = Photos(tmp_path, 48)
    for step in range(4):
        photos.batch(step, len(photos), 48, seed=1)
    assert set(photos.skipped) == unusable
    held = HeldPhotos(Photos(tmp_path, 48), 80, torch.device("cpu"))
    assert set(held.skipped) == unusable and len(held) == 5
    photos = Photos(tmp_path, 48)
    assert len(list(photos.wholes())) == 5 and len(list(photos.wholes(3))) == 3 and set(photos.skipped) == unusable


@pytest.mark.parametrize("error", [ValueError, SyntaxError, struct.error, OverflowError, TypeError, RecursionError])
def test_whatever_a_decoder_raises_skips_the_photo(photos_folder, monkeypatch, caplog, error):
    photos, new = Photos(photos_folder, 64), pyvips.Source.new_from_memory
    damaged = photos.names[photos._order(1, 0)[0]]
    contents = (photos_folder / damaged).read_bytes()

    def raise_for_one(content):
        if content == contents:
            raise error("long\nodd.")
        return new(content)

    monkeypatch.setattr(pyvips.Source, "new_from_memory", raise_for_one)
    photos.batch(0, 2, 64, seed=1)
    assert photos.skipped == [damaged]
    assert HeldPhotos(photos, 150, torch.device("cpu")).skipped.count(damaged) == 1
    assert len(list(photos.wholes())) == 11 and f"{damaged} in {photos_folder} is damaged (odd)" in caplog.text


def test_lack_of_memory_is_not_taken_for_a_damaged_photo(photos_folder, monkeypatch):
    photos = Photos(photos_folder, 64)

    for error in (MemoryError(), pyvips.Error("no picture", "vips_tracked: out of memory -- size == 123MB\n")):

        def fail(content, error=error):
            raise error

        monkeypatch.setattr(pyvips.Source, "new_from_memory", fail)
        with pytest.raises(MemoryError):
            photos.batch(0, 2, 64, seed=1)


@pytest.mark.parametrize("orientation", range(1, 10))
def test_photos_are_turned_upright_also_by_an_odd_exif_block(tmp_path, orientation):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8))
    photo.save(tmp_path / "odd.png", exif=odd_exif(orientation)[6:])
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo.save(tmp_path / "plain.png", exif=exif)
    odd, plain = (Photos(tmp_path, 8).open(index) for index in range(2))
    expected = ImageOps.exif_transpose(Image.open(tmp_path / "plain.png"))
    assert np.array_equal(plain, expected) and np.array_equal(odd, expected)


def test_deep_grey_photos_keep_their_brightness(tmp_path):
    grey = np.linspace(0, 255, 64 * 64).round().reshape(64, 64).astype(np.uint8)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.tif")
    Image.fromarray(grey.astype(np.float32) / 255).save(tmp_path / "float.tif")
    photos = Photos(tmp_path, 64)
    assert len(photos) == 3
    for index in range(3):
        assert np.array_equal(np.array(photos.open(index)), np.dstack([grey] * 3))


def test_pipe_is_no_tar(tmp_path):
    os.mkfifo(tmp_path / "photos.tar")
    with pytest.raises(StyleError, match="neither a folder nor"):
        Photos(tmp_path / "photos.tar", 64)


def test_training_sees_photos_as_painting_does(tmp_path):
    """16 bits and transparency too; the engine's ``network_input`` is what a network gets when it paints."""
    random = np.random.default_rng(0)
    rgba = random.integers(0, 256, (40, 50, 4), np.uint8)
    Image.fromarray(rgba).save(tmp_path / "alpha.png")
    Image.fromarray(rgba).save(tmp_path / "alpha.webp", lossless=True)
    Image.fromarray(rgba[..., :3]).convert("P").save(tmp_path / "palette.gif")
    Image.fromarray(rgba[..., :3]).save(tmp_path / "bitmap.bmp")
    pillow_heif.from_pillow(Image.fromarray(rgba[..., :3])).save(tmp_path / "phone.heic")
    pyvips.Image.new_from_array(random.integers(0, 65536, (40, 50, 3)).astype(np.uint16)).pngsave(
        str(tmp_path / "deep.png")
    )
    photos = Photos(tmp_path, 16)
    assert len(photos) == 6 and photos.skipped == []
    for index, name in enumerate(photos.names):
        expected = network_input(read_picture(tmp_path / name).picture)
        np.testing.assert_allclose(np.array(photos.open(index)) / 255, expected, atol=0.502 / 255, err_msg=name)
