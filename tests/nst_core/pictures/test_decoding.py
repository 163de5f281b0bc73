import io
import struct
import subprocess
import sys

import numpy as np
import pillow_heif
import pytest
import pyvips
from PIL import Image, ImageOps

from nst_core.base.errors import StyleError
from nst_core.pictures.decoding import (
    READ_SUFFIXES,
    DamagedPictureError,
    UnreadablePictureError,
    decode_picture,
    picture_size,
)
from tests.conftest import ROOT, SAMPLES

RANDOM = np.random.default_rng(0)
RGB = RANDOM.integers(0, 256, (36, 52, 3), np.uint8)
GREY = RGB[..., 0]


def smooth(height, width):
    """Return a picture that lossy formats keep well."""
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return (255 * np.stack([rows, columns, rows * columns], -1)).round().astype(np.uint8)


def content(pixels, kind, **options):
    """Return the content of a picture file."""
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    if kind == "HEIF":
        pillow_heif.from_pillow(image).save(file, quality=-1, **options)
    else:
        image.save(file, kind, **options)
    return file.getvalue()


def tiff(values, **options):
    return pyvips.Image.new_from_array(values).tiffsave_buffer(**options)


def scaled(pixels):
    return pixels / np.iinfo(pixels.dtype).max


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP", "AVIF", "HEIF"])
def test_every_format_gives_the_picture(kind):
    picture = smooth(36, 52)
    file = content(picture, kind)
    assert picture_size(file) == (52, 36)
    decoded = decode_picture(file)
    assert (decoded.bits, decoded.frames, decoded.missing) == (8, 1, "")
    limit = 60 if kind == "GIF" else 40 if kind in ("JPEG", "WEBP", "AVIF", "HEIF") else 0
    difference = np.abs(decoded.srgb().astype(int) - picture)
    assert decoded.srgb().dtype == np.uint8 and difference.max() <= limit and difference.mean() <= limit / 5


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied(kind, orientation):
    picture = Image.fromarray(smooth(36, 52))
    expected = np.array(
        ImageOps.exif_transpose(Image.open(io.BytesIO(content(picture, "PNG", exif=exif(orientation)))))
    )
    block = exif(orientation)
    pixels = decode_picture(content(picture, kind, exif=block.tobytes() if kind == "HEIF" else block)).srgb()
    assert pixels.shape == expected.shape and np.abs(pixels.astype(int) - expected).mean() < 8


def test_grey_of_every_depth_has_the_same_brightness():
    deep = (GREY.astype(np.uint16) * 257).astype(np.uint16)
    files = {
        "8": content(GREY, "PNG"),
        "16": content(deep, "PNG"),
        "16 in TIFF": content(deep, "TIFF"),
        "32": tiff(GREY.astype(np.uint32) * (2**24 + 2**16 + 2**8 + 1)),
        "float": tiff(GREY.astype(np.float32) / 255),
        "16 in PGM": b"P5 52 36 65535\n" + deep.astype(">u2").tobytes(),
    }
    for name, file in files.items():
        decoded = decode_picture(file)
        assert decoded.bits == (8 if name == "8" else 16), name
        np.testing.assert_allclose(scaled(decoded.srgb()), np.dstack([GREY] * 3) / 255, atol=1e-5, err_msg=name)


def test_floats_beyond_black_and_white_are_limited():
    values = np.full((8, 9, 4), 0.5, np.float32)
    values[0, :4, 0] = np.nan, np.inf, -np.inf, 7
    pixels = scaled(decode_picture(tiff(values)).srgb())
    np.testing.assert_allclose(pixels[0, :5, 0], [0, 1, 0, 1, 0.5], atol=1e-5)
    np.testing.assert_allclose(pixels[1:], 0.5, atol=1e-5)  # alpha too


@pytest.mark.parametrize("mode", ["P", "PA", "LA", "1", "CMYK"])
def test_other_kinds_of_pixels_are_those_of_pillow(mode):
    image = Image.fromarray(smooth(36, 52)).convert("P" if mode == "PA" else mode)
    options = {"transparency": 3} if mode == "PA" else {}
    file = content(image, "TIFF" if mode == "CMYK" else "PNG", **options)
    pixels = decode_picture(file).srgb()
    assert pixels.shape[2] == (4 if mode in ("PA", "LA") else 3)
    expected = np.array(Image.open(io.BytesIO(file)).convert("RGBA"))[..., : pixels.shape[2]]
    assert np.abs(pixels.astype(int) - expected).mean() < (40 if mode == "CMYK" else 1)  # inks are darker in libvips


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "HEIF"])
def test_first_of_several_frames_is_taken_and_counted(kind):
    frames = [Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (60, 120, 180)]
    file = io.BytesIO()
    if kind == "HEIF":
        heif = pillow_heif.HeifFile()
        for frame in frames:
            heif.add_from_pillow(frame)
        heif.save(file, primary_index=0)
    else:
        frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    decoded = decode_picture(file.getvalue())
    assert decoded.frames == 3 and abs(decoded.srgb()[..., :3].mean() - 60) < 3


def test_heic_keeps_metadata_and_ten_bits():
    image = Image.fromarray(smooth(36, 52))
    block = exif(6)
    block[0x010E] = "a description"
    decoded = decode_picture(content(image, "HEIF", exif=block.tobytes()))
    assert decoded.metadata["exif-data"].startswith(b"Exif\0\0") and b"a description" in decoded.metadata["exif-data"]
    deep = pillow_heif.from_bytes("RGB;16", (52, 36), (smooth(36, 52).astype(np.uint16) * 257).tobytes())
    file = io.BytesIO()
    deep.save(file, quality=-1)
    decoded = decode_picture(file.getvalue())
    assert decoded.bits == 16
    assert np.abs(scaled(decoded.srgb()) - smooth(36, 52) / 255).mean() < 0.02


def test_jpeg_without_its_end_marker_is_whole():
    file = content(smooth(40, 40), "JPEG")
    decoded = decode_picture(file[:-2])
    assert decoded.missing == "end marker"
    assert np.array_equal(decoded.srgb(), decode_picture(file).srgb())


def damaged_files():
    picture = RANDOM.integers(0, 256, (200, 200, 3), np.uint8)
    progressive = content(picture, "JPEG", progressive=True)
    halves = {
        "progressive JPEG": progressive[: len(progressive) // 2],
        **{kind: (file := content(picture, kind))[: len(file) // 2] for kind in ("BMP", "GIF", "JPEG", "PNG", "TIFF")},
    }
    return [pytest.param(file, id=name) for name, file in halves.items()]


@pytest.mark.parametrize("file", damaged_files())
def test_files_that_are_cut_off_are_used_on_request_alone(file):
    with pytest.raises(DamagedPictureError):
        decode_picture(file)
    decoded = decode_picture(file, allow_damaged=True)
    assert decoded.missing == "pixels" and decoded.srgb().shape[:2] == (200, 200)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF", "WEBP"])
def test_formats_that_cannot_be_read_in_part_are_refused(kind):
    file = content(smooth(100, 100), kind)
    with pytest.raises(UnreadablePictureError):
        decode_picture(file[: len(file) // 2], allow_damaged=True)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"no picture",
        b"3 3\n1 2 3\n4 5 6\n7 8 9\n",
        b"\0" * 5000,
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ],
    ids=["empty", "text", "table", "zeros", "program"],
)
def test_other_files_are_refused(file):
    for read in (decode_picture, picture_size):
        with pytest.raises(UnreadablePictureError):
            read(file)


def test_reason_that_quotes_the_file_is_short_and_printable():
    for namespace in (b"\xff\x7f", b"x" * 5000 + b"\x1b"):
        file = b'<svg xmlns="' + namespace + b'http://www.w3.org/2000/svg" width="16" height="12"></svg>'
        with pytest.raises(UnreadablePictureError) as error:
            decode_picture(file)
        assert str(error.value).isprintable() and len(str(error.value)) <= 300


def test_size_is_checked_before_pixels_are_decoded():
    class FakeTooLargeError(StyleError):
        pass

    def refuse(width, height):
        raise FakeTooLargeError

    bitmap = struct.pack("<2sIHHIIiiHHIIIIII", b"BM", 54, 0, 0, 54, 40, 9000, 9000, 1, 24, 0, 0, 0, 0, 0, 0)
    png = content(RGB, "PNG")
    huge = png[:16] + struct.pack(">II", 100_000, 100_000) + png[24:]
    for file, size in ((bitmap, (9000, 9000)), (huge, (100_000, 100_000)), (content(RGB, "HEIF"), (52, 36))):
        with pytest.raises(FakeTooLargeError):
            decode_picture(file, refuse)
        assert picture_size(file) == size


def test_endings_name_the_formats():
    assert {".jpg", ".heic", ".bmp", ".gif", ".avif"} <= READ_SUFFIXES and ".eps" not in READ_SUFFIXES


def test_libvips_prints_nothing_about_damaged_pictures(tmp_path):
    """Its messages come from threads of its own, and when a program ends."""
    file = content(RANDOM.integers(0, 256, (300, 300, 3), np.uint8), "JPEG")
    (tmp_path / "half.jpg").write_bytes(file[:20] + bytes(88) + file[20 : len(file) // 2])  # zeros between segments
    program = """
import sys
from pathlib import Path
from nst_core.pictures.decoding import decode_picture
for _ in range(20):
    print(decode_picture(Path(sys.argv[1]), allow_damaged=True).srgb().shape)
"""
    command = [sys.executable, "-c", program, tmp_path / "half.jpg"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.count("(300, 300, 3)") == 20 and done.stderr == ""


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "HEIF"])
def test_large_pictures_are_reduced_while_they_are_read(kind):
    with Image.open(SAMPLES / "rocket.jpg") as photo:
        large = photo.convert("RGB").resize((1600, 1200))
    data = content(large, kind)
    for pixels in (10_000, 400_000):
        reduced = decode_picture(data, pixels=pixels).floats()
        assert pixels <= reduced.shape[0] * reduced.shape[1] < 4 * pixels
        expected = np.asarray(large.resize(reduced.shape[1::-1], Image.Resampling.BOX), np.float32) / 255
        assert np.abs(reduced[..., :3] - expected).mean() < 0.02
    assert np.array_equal(decode_picture(data, pixels=1_000_000).srgb(), decode_picture(data).srgb())


def test_reduced_picture_is_upright_and_without_the_colours_of_transparent_pixels():
    pixels = np.zeros((400, 600, 4), np.uint8)
    pixels[:199], pixels[199:] = (200, 100, 50, 255), (0, 255, 0, 0)
    reduced = decode_picture(content(pixels, "PNG"), pixels=4000).srgb()
    visible = reduced[reduced[..., 3] > 0]
    assert np.abs(visible[:, :3].astype(int) - (200, 100, 50)).max() <= 2
    turned = decode_picture(content(pixels[..., :3], "JPEG", exif=exif(6)), pixels=4000).srgb()
    assert turned.shape[0] > turned.shape[1] and turned[:, -1, 0].mean() > 150


def test_large_jpeg_without_its_end_is_refused_when_reduced():
    with Image.open(SAMPLES / "rocket.jpg") as photo:
        data = content(photo.resize((1600, 1200)), "JPEG")
    half = data[: len(data) // 2]
    with pytest.raises(DamagedPictureError):
        decode_picture(half, pixels=10_000)
    assert decode_picture(half, allow_damaged=True, pixels=10_000).missing == "pixels"
