"""Read and write picture files, keeping orientation, colour profile, metadata and 16 bits per channel."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from nst_core.pictures.decoding import (
    DamagedPictureError,
    DecodedPicture,
    UnreadablePictureError,
    decode_picture,
    error_reason,
)
from nst_core.pictures.vips import pyvips
from plugin.cli.outputs import check_picture_fits
from plugin.cli.picture_records import record_in, with_record
from plugin.cli.reports import say
from plugin.cli.terminal import interrupts_held_back
from plugin.cli.tiff_exif import add_exif, exif_in_tiff
from plugin.engine.imaging.picture import Picture
from plugin.engine.machine.memory import check_memory

# Decoding holds a picture twice, with up to four channels of 16 bits.
READING_BYTES_PER_PIXEL = 16
# A small file may unpack to any number of pixels. The largest cameras have 150 megapixels.
LARGEST_PIXELS = 400_000_000
TIFF_SUFFIXES = {".tif", ".tiff"}
SIXTEEN_BIT_SUFFIXES = {".png", *TIFF_SUFFIXES}
NO_ALPHA_SUFFIXES = {".jpg", ".jpeg"}


@dataclass(frozen=True, eq=False)
class PictureFile:
    """A picture and what its file holds besides the pixels.

    Attributes:
        picture: the pixels, upright and in sRGB.
        bits: 8 or 16 per channel.
        has_alpha: whether the file has transparency.
        profile: the ICC profile that the pixels were converted from, and are converted back to, or None.
        metadata: EXIF, XMP and IPTC blocks by libvips' names, orientation already applied.
        resolution: pixels per millimetre, across and down.
        reading_notes: sentences that tell the user which parts of the file were not used.
        writing_notes: sentences that tell the user what a result cannot keep.
    """

    picture: Picture
    bits: int
    has_alpha: bool
    profile: bytes | None
    metadata: dict[str, bytes]
    resolution: tuple[float, float]
    reading_notes: tuple[str, ...] = ()
    writing_notes: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """All that the user should know before the picture is painted."""
        return self.reading_notes + self.writing_notes


@dataclass(frozen=True)
class Allowed:
    """What a user allows: reading what a damaged file still holds, and pictures of more than LARGEST_PIXELS."""

    damaged: bool = False
    large: bool = False


def read_picture(path: Path, allowed: Allowed = Allowed(), pixels: int | None = None) -> PictureFile:
    """Read a picture of any format that ``decode_picture`` knows, with its notes.

    A picture with many more than ``pixels`` pixels is reduced while it is read (see ``decode_picture``). A file that is
    cut off or damaged is refused unless that is allowed and a part of it can be read, and so is a very large picture.
    Raises StyleError if it cannot be read.
    """
    if not path.exists():
        raise StyleError(f"There is no picture {path}; check its name.")
    if path.is_dir():
        raise StyleError(f"{path} is a folder; give one picture file.")
    if not path.is_file():
        raise StyleError(f"{path} is a pipe or a device; give a picture file.")
    if path.stat().st_size == 0:
        raise StyleError(f"{path} is empty (0 bytes); copy or download it again.")

    def check_size(width: int, height: int) -> None:
        if width * height > LARGEST_PIXELS and not allowed.large:
            raise StyleError(
                f"{path} would unpack to {width}x{height} pixels ({width * height / 1e6:.0f} megapixels), which may be "
                "a mistake or meant to fill the memory; if it is neither, give --allow-large."
            )
        check_memory(width * height, READING_BYTES_PER_PIXEL, on_gpu=False)

    try:
        with interrupts_held_back():
            return _picture_file(path, decode_picture(path, check_size, allowed.damaged, pixels))
    except DamagedPictureError as error:
        raise StyleError(
            f"{path} is cut off or damaged ({error}); copy or download it again, or use what it still holds with "
            "--allow-damaged."
        ) from error
    except UnreadablePictureError as error:
        raise StyleError(
            f"{path} cannot be read as a picture ({error}); open it in another program and save it again."
        ) from error


def read_input(options: argparse.Namespace, path: Path, pixels: int | None = None) -> Picture:
    """Read a picture that a command only looks at, such as a style picture, and say what was not used.

    ``pixels`` is as in ``read_picture``.
    """
    source = read_picture(path, allowed_by(options), pixels)
    for note in source.reading_notes:
        say(options, note)
    return source.picture


def allowed_by(options: argparse.Namespace) -> Allowed:
    """Return what the options of a command allow."""
    return Allowed(options.allow_damaged, options.allow_large)


def _picture_file(path: Path, decoded: DecodedPicture) -> PictureFile:
    notes = []
    if decoded.frames > 1:
        notes.append(f"{path} holds {decoded.frames} pictures (frames or pages); the first one is used.")
    if decoded.missing == "end marker":
        notes.append(f"{path} has no end marker, but all its pixels were read.")
    elif decoded.missing:
        notes.append(f"{path} is cut off or damaged; the pixels that it lacks are black or grey.")
    profile = _rgb_profile(decoded)
    writing_notes: tuple[str, ...] = ()
    if profile is not None and not _can_be_written(profile):
        profile = None
        writing_notes = (f"The colour profile of {path} cannot be used for the result, which is in sRGB instead.",)
    image, metadata = decoded.image, decoded.metadata
    if decoded.is_tiff and (exif := exif_in_tiff(path)):
        metadata["exif-data"] = exif
    return PictureFile(
        Picture(decoded.srgb()),
        decoded.bits,
        bool(image.hasalpha()),
        profile,
        metadata,
        (image.xres, image.yres),
        tuple(notes),
        writing_notes,
    )


def check_result(path: Path, source: PictureFile, side: int | None = None) -> None:
    """Raise StyleError if a painting of ``source``, of at most ``side`` pixels, could not be written to ``path``."""
    width, height = source.picture.width, source.picture.height
    scale = min(1.0, side / max(width, height)) if side else 1.0
    sixteen = source.bits == 16 and path.suffix.lower() in SIXTEEN_BIT_SUFFIXES
    bytes_per_pixel = (4 if source.has_alpha else 3) * (2 if sixteen else 1)
    check_picture_fits(path, round(width * scale), round(height * scale), bytes_per_pixel)


def write_picture(source: PictureFile, pixels: np.ndarray, path: Path, record: Mapping[str, Any] | None = None) -> None:
    """Write RGBA ``pixels`` with the bits, alpha, profile and metadata of ``source``, if the format can.

    The pixels are float32 in 0..1, or unsigned integers with their whole range.
    ``record`` says how the picture was made, as data for JSON, and ``read_record`` reads it; GIF has no place for it.
    The file is written whole or not at all. Raises StyleError if it cannot be written.
    """
    quality = {"Q": 95} if path.suffix.lower() in NO_ALPHA_SUFFIXES else {}
    try:
        with interrupts_held_back():
            image = _encodable(source, pixels, path, record)
        # Ctrl-C takes effect before the old file is replaced.
        with written_whole(path) as partial, interrupts_held_back():
            image.write_to_target(_target(partial), path.suffix.lower(), **quality)
            if path.suffix.lower() in TIFF_SUFFIXES and "exif-data" in source.metadata:
                add_exif(partial, source.metadata["exif-data"])
    except (pyvips.Error, OSError) as error:
        raise StyleError(
            f"{path} cannot be written ({error_reason(error)}); choose another place or format."
        ) from error


def _target(path: Path) -> pyvips.Target:
    # A descriptor takes any file name; by name, libvips takes only UTF-8. Its TIFF writer also reads.
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        return pyvips.Target.new_to_descriptor(descriptor)
    finally:
        os.close(descriptor)


def _encodable(source: PictureFile, pixels: np.ndarray, path: Path, record: Mapping[str, Any] | None) -> pyvips.Image:
    """Return what ``write_picture`` writes, with its metadata."""
    bits = 16 if source.bits == 16 and path.suffix.lower() in SIXTEEN_BIT_SUFFIXES else 8
    image = _image(pixels, bits)
    if not source.has_alpha:
        image = image.extract_band(0, n=3)
    if source.has_alpha and path.suffix.lower() in NO_ALPHA_SUFFIXES:
        image = image.flatten(background=[2**bits - 1] * 3)
    if source.profile is not None:
        image = _converted_to(image, source.profile, bits)
    image = image.copy(xres=source.resolution[0], yres=source.resolution[1])
    metadata = source.metadata
    if record is not None:
        metadata = metadata | {"xmp-data": with_record(metadata.get("xmp-data"), record)}
    for name, value in metadata.items():
        image.set_type(pyvips.GValue.blob_type, name, value)
    # The pixels are upright, but the EXIF block still has the old orientation.
    image.set_type(pyvips.GValue.gint_type, "orientation", 1)
    return image


def read_record(path: Path) -> dict[str, Any]:
    """Return the record that ``write_picture`` left in a picture. Raises StyleError if there is none."""
    record = record_in(read_picture(path).metadata.get("xmp-data"))
    if record is None:
        raise StyleError(f"{path} does not say how it was made; give a picture that `neural-style render` wrote.")
    return record


def _rgb_profile(decoded: DecodedPicture) -> bytes | None:
    """Return the embedded profile if it is an RGB profile; profiles of grey and CMYK pictures cannot hold a result."""
    profile = decoded.profile
    return profile if profile and profile[16:20] == b"RGB " else None  # the header's colour space field


def _can_be_written(profile: bytes) -> bool:
    """Return whether pixels can be converted to a profile.

    Those of scanners and some phones only convert from the device, and a damaged one does nothing.
    """
    try:
        _converted_to(_image(np.zeros((1, 1, 3), np.uint8), 8), profile, 8)
    except pyvips.Error:
        return False
    return True


def _image(pixels: np.ndarray, bits: int) -> pyvips.Image:
    """Return float32 pixels in 0..1, or unsigned ones with their whole range, as an image of 8 or 16 bits."""
    if pixels.dtype == np.float32:
        maximum = 2**bits - 1
        pixels = np.round(np.clip(pixels, 0, 1) * maximum).astype(np.uint8 if bits == 8 else np.uint16)
    image = pyvips.Image.new_from_array(pixels, interpretation="srgb" if pixels.dtype == np.uint8 else "rgb16")
    if image.format == "ushort" and bits == 8:
        return (image / 257).rint().cast("uchar").copy(interpretation="srgb")
    return image


def _converted_to(image: pyvips.Image, profile: bytes, bits: int) -> pyvips.Image:
    # libvips takes an output profile by file name only.
    with tempfile.NamedTemporaryFile(suffix=".icc", delete=False) as file:
        file.write(profile)
    try:
        alpha = image[3] if image.bands == 4 else None
        rgb = image.extract_band(0, n=3).icc_transform(file.name, input_profile="srgb", depth=bits, intent="relative")
        return (rgb if alpha is None else rgb.bandjoin(alpha)).copy_memory()
    finally:
        Path(file.name).unlink()
