import io
import struct
import zlib

import pytest
from PIL import Image

from nst_core.base.jpeg import is_small_jpeg


def picture_file(kind="JPEG", size=(160, 107), mode="RGB", **options):
    data = io.BytesIO()
    Image.new(mode, size, "teal" if mode == "RGB" else 77).save(data, kind, **options)
    return data.getvalue()


def is_small(data):
    return is_small_jpeg(data, 1024, 1 << 20)


def huge_png(side=30_000):
    """A PNG of a billion black pixels, in 140 kB."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(side * (1 + (side + 7) // 8)), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        picture_file(),
        picture_file(mode="L"),
        picture_file(size=(1024, 1)),
        picture_file(exif=b"Exif\0\0" + bytes(100), icc_profile=bytes(3000), comment=b"a comment"),
    ],
)
def test_small_jpegs_pass(data):
    assert is_small(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8" + b"\xff" * 100,
        b"\xff\xd8" + b"\xff\xe0\x00\x00" * 1000,
        picture_file()[:100],
        picture_file("PNG"),
        picture_file("GIF"),
        huge_png(),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        picture_file(size=(1025, 8)),
        picture_file(size=(8, 65500)),
        picture_file(progressive=True),
        picture_file() + bytes(1 << 20),
        picture_file().replace(struct.pack(">HH", 107, 160), struct.pack(">HH", 0, 160), 1),
        picture_file() + b"\xff\xda" * 100,
    ],
)
def test_other_pictures_are_refused(data):
    assert not is_small(data)


def test_second_frame_cannot_hide_a_larger_size():
    data = picture_file()
    at = data.index(b"\xff\xc0")
    frame = data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
    assert not is_small(data[:at] + frame + data[at:])
