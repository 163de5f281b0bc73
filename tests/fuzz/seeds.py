"""Small valid files of every kind, to be changed."""

from __future__ import annotations

import io
import pickle
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pillow_heif
import pyvips
from PIL import Image, ImageCms

from nst_core.base.presets import PRESETS
from nst_core.base.recipes import as_data
from plugin.cli.picture_records import with_record
from tests.style_files import negative_style

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 4), np.uint8)
RGB = Image.fromarray(PIXELS[..., :3])


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif_block() -> bytes:
    """An EXIF block with all its directories."""
    exif = Image.Exif()
    exif[0x010E], exif[0x0112], exif[0x010F] = "a description", 6, "Maker"
    exif.get_ifd(0x8769)[0x829A] = 0.02
    exif.get_ifd(0x8825)[1] = "N"
    return exif.tobytes()


def xmp_packet() -> bytes:
    """An XMP packet with the record of a render."""
    return with_record(None, {"recipe": as_data(PRESETS["default"]), "style": "painting.jpg"})


@cache
def pictures() -> tuple[bytes, ...]:
    """Pictures in every format that is read, of many kinds of pixels, some with metadata and profiles."""
    exif, profile = exif_block(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    deep = pyvips.Image.new_from_array(PIXELS[..., :3].astype(np.uint16) * 257, interpretation="rgb16")
    floats = pyvips.Image.new_from_array(PIXELS.astype(np.float32) / 255)
    plain = pyvips.Image.new_from_array(PIXELS[..., :3], interpretation="srgb")
    plain.set_type(pyvips.GValue.blob_type, "xmp-data", xmp_packet())
    heic = io.BytesIO()
    pillow_heif.from_pillow(RGB).save(heic, exif=exif)
    frames = [Image.fromarray(PIXELS[..., channel]) for channel in range(3)]
    return (
        _saved(RGB, "JPEG", exif=exif, icc_profile=profile),
        _saved(RGB, "JPEG", progressive=True),
        _saved(RGB.convert("CMYK"), "JPEG"),
        _saved(RGB, "PNG", exif=exif, icc_profile=profile),
        _saved(Image.fromarray(PIXELS), "PNG"),
        _saved(RGB.convert("P"), "PNG", transparency=3),
        _saved(RGB, "TIFF", exif=exif),
        _saved(RGB.convert("CMYK"), "TIFF", compression="tiff_lzw"),
        _saved(RGB, "WEBP", exif=exif, icc_profile=profile),
        _saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        _saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        _saved(RGB, "AVIF", exif=exif),
        _saved(RGB, "BMP"),
        _saved(RGB.convert("P"), "BMP"),
        _saved(RGB, "JPEG2000"),
        _saved(RGB, "PPM"),
        heic.getvalue(),
        deep.pngsave_buffer(),
        deep.tiffsave_buffer(compression="deflate", tile=True, tile_width=16, tile_height=16),
        floats.tiffsave_buffer(),
        plain.jpegsave_buffer(),
        plain.tiffsave_buffer(),
        b'<svg xmlns="http://www.w3.org/2000/svg" width="16" height="12"><rect width="8" height="8"/></svg>',
    )


@cache
def tar_of_photos() -> bytes:
    """A tar file of two photos."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for number, content in enumerate((pictures()[0], pictures()[3])):
            entry = tarfile.TarInfo(f"{number}.jpg")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return file.getvalue()


@cache
def style_files() -> tuple[bytes, ...]:
    """A small style file, and the end of a bundled one, which is its description."""
    return (negative_style().SerializeToString(),)


@cache
def networks() -> tuple[bytes, ...]:
    """Networks and weights of other programs: PyTorch's, safetensors, NumPy's and ONNX files."""
    import torch
    from safetensors.torch import save

    weights = {"conv1.conv2d.weight": torch.zeros(2, 3, 3, 3), "in1.weight": torch.ones(2)}
    file, old, arrays = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save(weights, file)
    torch.save(weights, old, _use_new_zipfile_serialization=False)
    np.savez(arrays, **{name: tensor.numpy() for name, tensor in weights.items()})
    return (file.getvalue(), old.getvalue(), arrays.getvalue(), save(weights), *style_files(), pickle.dumps(weights))


@cache
def animations() -> tuple[bytes, ...]:
    """A GIF, a WebP and a PNG file of three frames."""
    frames = [Image.fromarray(PIXELS[..., channel]) for channel in range(3)]
    return tuple(
        _saved(frames[0].convert(mode), kind, save_all=True, append_images=frames[1:], duration=[40, 90, 40], loop=2)
        for kind, mode in (("GIF", "P"), ("WEBP", "RGB"), ("PNG", "RGB"))
    )


@cache
def films() -> tuple[bytes, ...]:
    """Small films in three containers, and a playlist."""
    import av

    contents = []
    for kind, codec in (("mp4", "libx264"), ("matroska", "libx264"), ("avi", "mjpeg")):
        file = io.BytesIO()
        with av.open(file, "w", format=kind) as container:
            stream = container.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = 16, 12, "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for _ in range(3):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(PIXELS[..., :3].copy(), "rgb24")))
            container.mux(stream.encode(None))
        contents.append(file.getvalue())
    return (*contents, b"ffconcat version 1.0\nfile photo.mp4\n")


@cache
def style_measurements() -> bytes:
    """The measurements of a style picture, as the cache keeps them."""
    file = io.BytesIO()
    arrays = {f"{name}{level}": PIXELS[..., 0].astype(np.float32) for name in ("mean", "root") for level in range(1, 6)}
    np.savez(file, **arrays, **{f"whitened{level}": PIXELS[..., 0].astype(np.float16) for level in (4, 5)})
    return file.getvalue()


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for the files of one case, in memory where that is possible."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory if memory.is_dir() else None)
