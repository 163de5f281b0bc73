import io
import shutil
import subprocess

import numpy as np
import pytest
import pyvips
from PIL import Image
from PIL.ExifTags import IFD, Base
from PIL.TiffImagePlugin import IFDRational

from plugin.cli.picture_files import read_picture, write_picture
from plugin.cli.tiff_exif import add_exif, exif_in_tiff

RGB = np.random.default_rng(0).integers(0, 256, (37, 51, 3), np.uint8)


def described():
    """Return EXIF data with tags of each directory."""
    exif = Image.Exif()
    exif[Base.ImageDescription], exif[Base.Make], exif[Base.Orientation] = "a long enough description", "Maker", 6
    details, place = exif.get_ifd(IFD.Exif), exif.get_ifd(IFD.GPSInfo)
    details[Base.ExposureTime], details[Base.DateTimeOriginal] = IFDRational(1, 50), "2020:01:02 03:04:05"
    details[Base.MakerNote] = b"private" * 9
    place[1], place[2] = "N", (48.0, 8.0, 14.0)
    return exif


def check(exif):
    assert exif[Base.ImageDescription] == "a long enough description" and exif[Base.Make] == "Maker"
    assert exif.get(Base.Orientation, 1) == 1
    details, place = exif.get_ifd(IFD.Exif), exif.get_ifd(IFD.GPSInfo)
    assert details[Base.ExposureTime] == IFDRational(1, 50) and details[Base.MakerNote] == b"private" * 9
    assert details[Base.DateTimeOriginal] == "2020:01:02 03:04:05"
    assert place[1] == "N" and place[2] == (48.0, 8.0, 14.0)


@pytest.mark.parametrize("source", ["a.jpg", "a.tif"])
@pytest.mark.parametrize("target", ["b.jpg", "b.tif", "b.png"])
def test_exif_survives_from_and_to_tiff(tmp_path, source, target):
    Image.fromarray(RGB).save(tmp_path / source, exif=described().tobytes())
    picture = read_picture(tmp_path / source)
    assert picture.picture.pixels.shape == (51, 37, 4)
    write_picture(picture, picture.picture.pixels, tmp_path / target, {"style": "record"})
    with Image.open(tmp_path / target) as written:
        check(written.getexif())
    again = read_picture(tmp_path / target)
    assert b"record" in again.metadata["xmp-data"]
    np.testing.assert_allclose(again.picture.pixels, picture.picture.pixels, atol=0.4 if target == "b.jpg" else 1e-6)
    if target == "b.tif" and (tool := shutil.which("tiffinfo")):
        assert not subprocess.run([tool, tmp_path / target], capture_output=True, text=True, check=True).stderr


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("endian", ["<", ">"])
def test_pixels_and_tags_of_the_file_stay(tmp_path, bits, endian):
    values = RGB.astype(np.uint8 if bits == 8 else np.uint16) * (1 if bits == 8 else 257)
    if endian == "<":
        pyvips.Image.new_from_array(values).tiffsave(str(tmp_path / "a.tif"), compression="deflate")
    else:
        grey = Image.fromarray(values[..., 0])
        grey.save(tmp_path / "a.tif", **({"big_endian": True} if bits == 16 else {}))
    before = pyvips.Image.new_from_file(str(tmp_path / "a.tif")).numpy()
    add_exif(tmp_path / "a.tif", described().tobytes())
    assert np.array_equal(pyvips.Image.new_from_file(str(tmp_path / "a.tif")).numpy(), before)
    with Image.open(tmp_path / "a.tif") as image:
        check(image.getexif())


@pytest.mark.parametrize("block", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"no EXIF", bytes(99)])
def test_odd_exif_adds_nothing(tmp_path, block):
    Image.fromarray(RGB).save(tmp_path / "a.tif")
    before = (tmp_path / "a.tif").read_bytes()
    add_exif(tmp_path / "a.tif", block)
    assert (tmp_path / "a.tif").read_bytes() == before and exif_in_tiff(tmp_path / "a.tif") is None


def test_other_files_have_no_exif(tmp_path):
    for content in (b"", b"II*\0", b"no TIFF"):
        (tmp_path / "a.tif").write_bytes(content)
        assert exif_in_tiff(tmp_path / "a.tif") is None
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "JPEG", exif=described())
    (tmp_path / "a.tif").write_bytes(file.getvalue())
    assert exif_in_tiff(tmp_path / "a.tif") is None
