"""EXIF in TIFF files, which libvips neither reads nor writes there.

A TIFF file keeps EXIF data among its own tags: descriptions in its first directory (IFD), the rest in directories of
their own to which it points (Exif 2.32, 4.6.3).
"""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

from PIL import Image
from PIL.ExifTags import IFD, Base
from PIL.TiffImagePlugin import ImageFileDirectory_v2

EXIF_PREFIX = b"Exif\0\0"
# The tags of a first directory that describe the photo; the others describe how the file stores it.
DESCRIPTIONS = (
    *(Base.DocumentName, Base.ImageDescription, Base.Make, Base.Model, Base.Software, Base.DateTime, Base.Artist),
    *(Base.HostComputer, Base.Rating, Base.RatingPercent, Base.Copyright),
    *(Base.XPTitle, Base.XPComment, Base.XPAuthor, Base.XPKeywords, Base.XPSubject),
)
DIRECTORIES = (IFD.Exif, IFD.GPSInfo)
LARGEST = 2**32 - 1  # bytes; a TIFF file has offsets of 32 bits


def exif_in_tiff(path: Path) -> bytes | None:
    """Return a TIFF file's EXIF data as a block, like that of a JPEG; None if it has none or they cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path, formats=("TIFF",)) as image:
                return _block(image.getexif())
        except MemoryError:
            raise
        except Exception:  # the reader raises many kinds of error for odd data, which say nothing about the pixels
            return None


def add_exif(path: Path, block: bytes) -> None:
    """Add the EXIF data of a block to a TIFF file. A block that cannot be read adds nothing. Raises OSError."""
    with path.open("r+b") as file:
        header = file.read(8)
        order = "<" if header.startswith(b"II") else ">"
        magic, first = struct.unpack(f"{order}HI", header[2:])
        end = file.seek(0, io.SEEK_END)
        end += end % 2  # directories begin at even offsets
        added = _directory(block, header, end)
        if magic != 42 or added is None or end + len(added) > LARGEST // 2:
            return
        file.seek(first)
        entries = _entries(file.read(2 + 12 * 2**16), order)
        # What has been there stays, because it describes the file.
        merged = sorted((_entries(added, order) | entries).items())
        file.seek(end)
        file.write(added)
        directory = end + len(added) + len(added) % 2
        file.seek(directory)
        file.write(struct.pack(f"{order}H", len(merged)) + b"".join(entry for _, entry in merged) + bytes(4))
        file.seek(4)
        file.write(struct.pack(f"{order}I", directory))


def _block(exif: Image.Exif) -> bytes | None:
    """Return the descriptions and the directories of EXIF data as a block."""
    copy = Image.Exif()
    for tag in DESCRIPTIONS:
        if tag in exif:
            copy[tag] = exif[tag]
    for directory in DIRECTORIES:
        if values := exif.get_ifd(directory):
            copy.get_ifd(directory).update(values)
    has_data = bool(copy) or any(copy.get_ifd(directory) for directory in DIRECTORIES)
    return copy.tobytes() if has_data else None


def _directory(block: bytes, header: bytes, offset: int) -> bytes | None:
    """Return a TIFF directory with the data of an EXIF block and all that it points to, for a place in the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exif = Image.Exif()
            exif.load(block if block.startswith(EXIF_PREFIX) else EXIF_PREFIX + block)
            directory = ImageFileDirectory_v2(header)
            for tag in DESCRIPTIONS:
                if tag in exif:
                    directory[tag] = exif[tag]
            for pointer in DIRECTORIES:
                if values := exif.get_ifd(pointer):
                    directory[pointer] = dict(values)
            return directory.tobytes(offset) if len(directory) else None
        except MemoryError:
            raise
        except Exception:  # as above
            return None


def _entries(directory: bytes, order: str) -> dict[int, bytes]:
    """Return a directory's entries of 12 bytes by their tags."""
    (count,) = struct.unpack_from(f"{order}H", directory)
    entries = [directory[2 + 12 * i : 14 + 12 * i] for i in range(count)]
    return {struct.unpack_from(f"{order}H", entry)[0]: entry for entry in entries}
