"""Decode picture files: one reading for photos, style pictures and training photos, so all take the same formats.

libvips reads JPEG, PNG, TIFF, WebP, GIF, AVIF and SVG. Pillow reads ``PILLOW_FORMATS``. pillow-heif reads HEIC, as
phones write it, because the package of libvips has no decoder for it. This loads without PyTorch.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from nst_core.base.display_text import LONGEST_REASON, one_line
from nst_core.base.errors import StyleError
from nst_core.pictures.vips import pyvips

# The first bytes identify these formats for certain, and their decoders only read pixels; EPS's starts a program.
PILLOW_FORMATS = ("BMP", "JPEG2000", "PPM")
# libvips also loads tables of numbers and its own format, which are not photos.
VIPS_LOADERS = ("jpegload", "pngload", "tiffload", "webpload", "gifload", "heifload", "svgload")
# How these formats' files end. Only the search for a folder's photos goes by the name.
READ_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".gif", ".avif", ".heic", ".heif"),
        *(".bmp", ".jp2", ".ppm", ".pgm", ".pnm", ".svg"),
    )
)
HEAD = 4096  # bytes, more than the list of brands that begins a HEIC file
END_OF_JPEG = b"\xff\xd9"
PROFILE = "icc-profile-data"
KEPT_METADATA = ("exif-data", "xmp-data", "iptc-data")
# Colours that do not depend on a device, which libvips keeps in ranges of their own.
COLORIMETRIC = ("lab", "labs", "labq", "lch", "xyz")
# The value of white in pixels that are not 8 or 16 bits. Floats are encoded like integers, as in GIMP.
WHITE = {"float": 1.0, "uint": 2.0**32 - 1}

CheckSize = Callable[[int, int], object]
"""Takes a picture's width and height before it is decoded, and raises an error to refuse it."""


class UnreadablePictureError(StyleError):
    """A picture that cannot be decoded. The text is a library's reason, without a full stop."""


class DamagedPictureError(UnreadablePictureError):
    """A picture whose file is cut off or damaged, and which can be decoded in part."""


class _SizeKnownError(StyleError):
    """Ends the reading of a picture when its size is known, if nothing else is wanted."""


@dataclass(frozen=True, eq=False)
class DecodedPicture:
    """A decoded picture, upright, in its file's own colours.

    Attributes:
        image: the pixels, with the file's metadata.
        frames: the number of pictures in the file (frames or pages). ``image`` is the first, or a HEIC file's main one.
        missing: "" for a whole picture, "end marker" for one that lacks nothing else, or "pixels".
    """

    image: pyvips.Image
    frames: int
    missing: str = ""

    @property
    def bits(self) -> int:
        """8 or 16 per channel; whatever is not 8 bits counts as 16."""
        return 8 if self.image.format == "uchar" else 16

    @property
    def is_tiff(self) -> bool:
        """Whether the file is a TIFF, from which libvips reads no EXIF data."""
        return bool(self.image.get_typeof("vips-loader")) and self.image.get("vips-loader").startswith("tiffload")

    @property
    def metadata(self) -> dict[str, bytes]:
        """EXIF, XMP and IPTC blocks by libvips' names."""
        return {name: bytes(self.image.get(name)) for name in KEPT_METADATA if self.image.get_typeof(name)}

    @property
    def profile(self) -> bytes | None:
        """The embedded ICC profile."""
        return bytes(self.image.get(PROFILE)) if self.image.get_typeof(PROFILE) else None

    def srgb(self) -> np.ndarray:
        """Return the pixels in sRGB: uint8 or uint16 [H, W, 3], or [H, W, 4] with alpha.

        Pixels with an ICC profile are converted with relative colorimetric intent. Raises UnreadablePictureError for
        pixels of another type.
        """
        with _library_errors():
            values: np.ndarray = _in_srgb(_integers(self.image)).numpy()
        return values[..., :4]

    def floats(self) -> np.ndarray:
        """Return the pixels as float32 [H, W, 4], sRGB-encoded in 0..1, as ``srgb`` does."""
        values = self.srgb()
        pixels = np.ones((*values.shape[:2], 4), np.float32)
        pixels[..., : values.shape[2]] = values / np.float32(np.iinfo(values.dtype).max)
        return pixels


def decode_picture(
    file: Path | bytes,
    check_size: CheckSize = lambda width, height: None,
    allow_damaged: bool = False,
    pixels: int | None = None,
) -> DecodedPicture:
    """Decode a picture, or the first of several frames or pages, from a file or from a file's content.

    A picture with at least four times ``pixels`` pixels is reduced by a whole number while it is read; at least
    ``pixels`` are left. Formats that Pillow and pillow-heif read take the memory of the whole picture until then.

    A file that is cut off or damaged raises DamagedPictureError, or with ``allow_damaged`` gives what is there, the
    rest black or grey. If it lacks nothing but a JPEG's end marker, it always gives a picture. Raises
    UnreadablePictureError for what cannot be decoded at all, OSError for a file that cannot be read, and MemoryError.
    """
    head = _head(file)
    try:
        return _decoded(file, check_size, "truncated", pixels)
    except UnreadablePictureError as error:
        reason = error
    with suppress(UnreadablePictureError):
        if head.startswith(b"\xff\xd8"):
            whole = _decoded(_content(file) + END_OF_JPEG, check_size, "warning", pixels)
            return replace(whole, missing="end marker")
    try:
        part = _decoded(file, check_size, "none", pixels)
    except UnreadablePictureError:
        raise reason from None
    if not allow_damaged:
        raise DamagedPictureError(str(reason)) from reason
    return replace(part, missing="pixels")


def picture_size(file: Path | bytes) -> tuple[int, int]:
    """Return a picture's width and height, before it is turned upright, without decoding it.

    Raises UnreadablePictureError, and OSError for a file that cannot be read.
    """
    sizes: list[tuple[int, int]] = []

    def stop(width: int, height: int) -> None:
        sizes.append((width, height))
        raise _SizeKnownError

    _head(file)  # raises OSError, which would not leave the block below
    with suppress(_SizeKnownError), _library_errors():
        _opened(file, "truncated", stop)
    return sizes[0]


def _decoded(file: Path | bytes, check_size: CheckSize, fail_on: str, pixels: int | None) -> DecodedPicture:
    with _library_errors():
        image, frames = _opened(file, fail_on, check_size, pixels)
        return DecodedPicture(image.copy_memory().autorot(), frames)


def _opened(
    file: Path | bytes, fail_on: str, check_size: CheckSize, pixels: int | None = None
) -> tuple[pyvips.Image, int]:
    """Return a picture that is decoded when it is used, and the number of pictures in its file."""
    if _is_heic(_head(file)):
        image, frames = _heic(_content(file), check_size)
        return image if pixels is None else _reduced(image, pixels), frames
    try:
        image = _vips_image(file, fail_on, pixels)
        if image.get("vips-loader").startswith("tiffload") and fail_on == "truncated":
            image = _vips_image(file, "error", pixels)  # the missing part of a TIFF file would be black
    except pyvips.Error:
        with suppress(UnidentifiedImageError):
            image = _pillow_image(_content(file), check_size, whole=fail_on != "none")
            return image if pixels is None else _reduced(image, pixels), 1
        raise
    check_size(image.width, image.height)
    return image, image.get("n-pages") if image.get_typeof("n-pages") else 1


def _vips_image(file: Path | bytes, fail_on: str, pixels: int | None) -> pyvips.Image:
    if pixels is None:
        return _loaded(file, "", fail_on=fail_on)
    image = _loaded(file, "", fail_on=fail_on, access="sequential")
    if image.get("vips-loader").startswith("jpegload"):
        # Its decoder halves a picture up to three times before it has any pixels.
        shrink = max(step for step in (1, 2, 4, 8) if step <= max(1, _reduction(image, pixels)))
        image = _loaded(file, f"shrink={shrink}", fail_on=fail_on, access="sequential")
    return _reduced(image, pixels)


def _loaded(file: Path | bytes, options: str, **loading: str) -> pyvips.Image:
    if isinstance(file, bytes):
        source = pyvips.Source.new_from_memory(file)
    else:
        # A descriptor takes any file name; by name, libvips takes only UTF-8.
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            source = pyvips.Source.new_from_descriptor(descriptor)
        finally:
            os.close(descriptor)
    image = pyvips.Image.new_from_source(source, options, **loading)
    if not image.get("vips-loader").startswith(VIPS_LOADERS):
        raise pyvips.Error(f"it is not a picture but {image.get('vips-loader')}")
    return image


def _reduction(image: pyvips.Image, pixels: int) -> int:
    return int((image.width * image.height / pixels) ** 0.5)


def _reduced(image: pyvips.Image, pixels: int) -> pyvips.Image:
    """Reduce a picture by a whole number to at least ``pixels`` pixels, and to no less than one in each direction."""
    factor = _reduction(image, pixels)
    if factor < 2:
        return image
    across, down = min(factor, image.width), min(factor, image.height)
    if not image.hasalpha():
        return image.shrink(across, down)
    # The colours of transparent pixels must not count.
    return image.premultiply().shrink(across, down).unpremultiply().cast(image.format)


def _is_heic(head: bytes) -> bool:
    """Return whether a file begins like HEIF (ISO/IEC 23008-12), but is not AVIF."""
    size, kind = int.from_bytes(head[:4], "big"), head[4:8]
    brands = {head[i : i + 4] for i in (8, *range(16, min(size, len(head)) - 3, 4))}
    return kind == b"ftyp" and bool(brands & {b"heic", b"heix", b"hevc", b"mif1", b"msf1"}) and b"avif" not in brands


def _heic(content: bytes, check_size: CheckSize) -> tuple[pyvips.Image, int]:
    import pillow_heif

    heif = pillow_heif.open_heif(content, convert_hdr_to_8bit=False)
    check_size(*heif.size)
    pixels = np.asarray(heif)
    image = _from_array(pixels, heif.info)
    # The pixels are upright already; the EXIF block of a HEIC file only repeats how they were turned.
    image.set_type(pyvips.GValue.gint_type, "orientation", 1)
    return image, len(heif)


def _pillow_image(content: bytes, check_size: CheckSize, whole: bool) -> pyvips.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # check_size decides
        image: Image.Image = Image.open(io.BytesIO(content), formats=PILLOW_FORMATS)
        check_size(*image.size)
        if not whole:
            black = bytes(8 * (image.width + 1) * image.height)
            image = Image.open(io.BytesIO(content + black), formats=PILLOW_FORMATS)
        if image.mode.startswith("I"):  # grey of 16 bits
            return _from_array(np.asarray(image).clip(0, 65535).astype(np.uint16), image.info)
        if image.mode not in ("L", "LA", "RGB", "RGBA"):
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        return _from_array(np.asarray(image), image.info)


def _from_array(pixels: np.ndarray, info: dict[str | tuple[int, int], object]) -> pyvips.Image:
    """Return an image with the metadata that Pillow names in ``info``."""
    grey = pixels.ndim == 2 or pixels.shape[2] < 3
    interpretation = ("b-w" if grey else "srgb") if pixels.dtype == np.uint8 else ("grey16" if grey else "rgb16")
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels), interpretation=interpretation)
    exif = info.get("exif")
    if isinstance(exif, bytes) and not exif.startswith(b"Exif\0\0"):
        exif = b"Exif\0\0" + exif
    for name, value in (("exif-data", exif), ("xmp-data", info.get("xmp")), (PROFILE, info.get("icc_profile"))):
        if isinstance(value, bytes) and value:
            image.set_type(pyvips.GValue.blob_type, name, value)
    return image


def _integers(image: pyvips.Image) -> pyvips.Image:
    """Return pixels of any type with 8 or 16 bits per channel."""
    if image.format in ("uchar", "ushort") and image.interpretation not in COLORIMETRIC:
        return image
    if image.interpretation in COLORIMETRIC:
        image = image.colourspace("rgb16")
        image.remove(PROFILE)
        return image
    if image.format not in WHITE:
        raise UnreadablePictureError(f"its pixels are of type {image.format}, not of 8 or 16 bits or floating point")
    numbers = (image != image).ifthenelse(0, image)  # NaN is not equal to itself
    interpretation = "grey16" if image.bands < 3 else "cmyk" if image.interpretation == "cmyk" else "rgb16"
    values = (numbers * (65535 / WHITE[image.format])).rint().cast("ushort")
    return values.copy(interpretation=interpretation)


def _in_srgb(image: pyvips.Image) -> pyvips.Image:
    if not image.get_typeof(PROFILE):
        return image.colourspace("srgb" if image.format == "uchar" else "rgb16")
    alpha = None
    if image.hasalpha():
        alpha, image = image[image.bands - 1], image.extract_band(0, n=image.bands - 1)
    converted = image.icc_transform("srgb", embedded=True, depth=16, intent="relative")
    if alpha is None:
        return converted
    # Profiles do not convert alpha, so it still has the range of the original pixels.
    return converted.bandjoin((alpha * (257 if image.format == "uchar" else 1)).cast("ushort"))


def _head(file: Path | bytes) -> bytes:
    if isinstance(file, bytes):
        return file[:HEAD]
    if file.exists() and not (file.is_file() or file.is_dir()):
        # To open a pipe waits for its writer, and to read a device may never end.
        raise UnreadablePictureError("it is a pipe or a device")
    with file.open("rb") as stream:
        return stream.read(HEAD)


def _content(file: Path | bytes) -> bytes:
    return file if isinstance(file, bytes) else file.read_bytes()


@contextmanager
def _library_errors() -> Iterator[None]:
    """Raise UnreadablePictureError for whatever a decoder raises, except a lack of memory."""
    try:
        yield
    except (MemoryError, StyleError):
        raise
    except Exception as error:  # decoders raise many kinds of error for a damaged file
        reason = error_reason(error)
        if "out of memory" in reason:
            raise MemoryError(reason) from error
        raise UnreadablePictureError(reason) from error


def error_reason(error: Exception) -> str:
    """Return the last line of a library's error message, which may quote the file, without a full stop."""
    text = getattr(error, "detail", None) or str(error)
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return one_line(lines[-1], LONGEST_REASON).rstrip(".") if lines else type(error).__name__
