"""Read and write picture files through libvips, keeping orientation, colour profile and 16 bits per channel."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from plugin.cli.picture_records import record_in, with_record
from plugin.cli.terminal import interrupts_held_back
from plugin.engine.imaging.picture import Picture
from plugin.engine.machine.memory import check_memory

# Decoding holds a picture as float32 RGBA together with its integer form.
BYTES_PER_PIXEL = 48
SIXTEEN_BIT_SUFFIXES = {".png", ".tif", ".tiff"}
NO_ALPHA_SUFFIXES = {".jpg", ".jpeg"}
# libvips writes XMP into every format of PICTURE_SUFFIXES except GIF.
KEPT_METADATA = ("exif-data", "xmp-data", "iptc-data")


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
        notes: sentences that tell the user what a result cannot keep.
    """

    picture: Picture
    bits: int
    has_alpha: bool
    profile: bytes | None
    metadata: dict[str, bytes]
    resolution: tuple[float, float]
    notes: tuple[str, ...] = ()


def read_picture(path: Path) -> PictureFile:
    """Read any picture that libvips can read. Raises StyleError if it cannot be read to its end."""
    if not path.exists():
        raise StyleError(f"There is no picture {path}; check its name.")
    if path.is_dir():
        raise StyleError(f"{path} is a folder; give one picture file.")
    if path.stat().st_size == 0:
        raise StyleError(f"{path} is empty (0 bytes); copy or download it again.")
    try:
        with interrupts_held_back():
            return _read(path)
    except pyvips.Error as error:
        raise StyleError(
            f"{path} cannot be read as a picture ({_reason(error)}); open it in another program and save it again."
        ) from error


def _read(path: Path) -> PictureFile:
    # A source takes any file name; new_from_file() would read options in square brackets.
    image = pyvips.Image.new_from_source(pyvips.Source.new_from_file(str(path)), "", fail_on="truncated")
    check_memory(image.width * image.height, BYTES_PER_PIXEL, on_gpu=False)
    image = image.autorot()
    metadata = {name: image.get(name) for name in KEPT_METADATA if image.get_typeof(name)}
    bits = 8 if image.format == "uchar" else 16
    has_alpha = image.hasalpha()
    profile = _rgb_profile(image)
    notes: tuple[str, ...] = ()
    if profile is not None and not _can_be_written(profile):
        profile, notes = None, (f"Nothing can be converted to the colour profile of {path}; the result is in sRGB.",)
    pixels = _srgb_pixels(image)
    return PictureFile(Picture(pixels), bits, has_alpha, profile, metadata, (image.xres, image.yres), notes)


def write_picture(source: PictureFile, pixels: np.ndarray, path: Path, record: Mapping[str, Any] | None = None) -> None:
    """Write float32 RGBA ``pixels`` with the bits, alpha, profile and metadata of ``source``, if the format can.

    ``record`` says how the picture was made, as data for JSON, and ``read_record`` reads it; GIF has no place for it.
    The file is written whole or not at all. Raises StyleError if it cannot be written.
    """
    quality = {"Q": 95} if path.suffix.lower() in NO_ALPHA_SUFFIXES else {}
    try:
        with interrupts_held_back():
            image = _encodable(source, pixels, path, record)
        # Ctrl-C takes effect before the old file is replaced.
        with written_whole(path) as partial, interrupts_held_back():
            image.write_to_target(pyvips.Target.new_to_file(str(partial)), path.suffix.lower(), **quality)
    except (pyvips.Error, OSError) as error:
        raise StyleError(f"{path} cannot be written ({_reason(error)}); choose another place or format.") from error


def _encodable(source: PictureFile, pixels: np.ndarray, path: Path, record: Mapping[str, Any] | None) -> pyvips.Image:
    """Return what ``write_picture`` writes, with its metadata."""
    bits = 16 if source.bits == 16 and path.suffix.lower() in SIXTEEN_BIT_SUFFIXES else 8
    image = _integers(pixels if source.has_alpha else pixels[..., :3], bits)
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


def _rgb_profile(image: pyvips.Image) -> bytes | None:
    """Return the embedded profile if it is an RGB profile; profiles of grey and CMYK pictures cannot hold a result."""
    if not image.get_typeof("icc-profile-data"):
        return None
    profile = bytes(image.get("icc-profile-data"))
    return profile if profile[16:20] == b"RGB " else None  # the header's colour space field


def _can_be_written(profile: bytes) -> bool:
    """Return whether pixels can be converted to a profile.

    Those of scanners and some phones only convert from the device, and a damaged one does nothing.
    """
    try:
        _converted_to(_integers(np.zeros((1, 1, 3), np.float32), 8), profile, 8)
    except pyvips.Error:
        return False
    return True


def _srgb_pixels(image: pyvips.Image) -> np.ndarray:
    """Return the pixels as float32 [H, W, 4], sRGB-encoded in 0..1."""
    if image.format not in ("uchar", "ushort") and image.interpretation != "scrgb":
        raise StyleError(
            f"A picture with {image.interpretation} pixels of type {image.format} cannot be painted; "
            "save it with 8 or 16 bits per channel."
        )
    alpha = None
    if image.get_typeof("icc-profile-data") and image.interpretation != "scrgb":
        if image.hasalpha():
            alpha, image = image[image.bands - 1], image.extract_band(0, n=image.bands - 1)
        converted = image.icc_transform("srgb", embedded=True, depth=16, intent="relative")
        if alpha is not None:
            # Profiles do not convert alpha, so it still has the range of the original pixels.
            converted = converted.bandjoin((alpha * (257 if image.format == "uchar" else 1)).cast("ushort"))
    else:
        converted = image.colourspace("srgb" if image.format == "uchar" else "rgb16")
    values = converted.numpy() / np.float32(255 if converted.format == "uchar" else 65535)
    pixels = np.ones((image.height, image.width, 4), np.float32)
    pixels[..., : values.shape[2]] = np.clip(values[..., :4], 0, 1)
    return pixels


def _integers(pixels: np.ndarray, bits: int) -> pyvips.Image:
    maximum = 2**bits - 1
    values = np.round(np.clip(pixels, 0, 1) * maximum).astype(np.uint8 if bits == 8 else np.uint16)
    return pyvips.Image.new_from_array(values, interpretation="srgb" if bits == 8 else "rgb16")


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


def _reason(error: Exception) -> str:
    """Return the last line of a library's error message."""
    text = getattr(error, "detail", None) or str(error)
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__
