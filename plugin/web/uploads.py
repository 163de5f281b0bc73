"""Paint what someone uploads: read it, check it, and give back what the page shows. Knows nothing of the page."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from nst_core.base.errors import StyleError
from nst_core.pictures.decoding import DamagedPictureError, UnreadablePictureError, decode_picture
from plugin.engine.fast.fast_painting import open_styles, paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.picture import Picture
from plugin.engine.instant.instant_painting import paint_instantly
from plugin.engine.instant.instant_settings import InstantSettings
from plugin.engine.progress import Progress, ProgressCallback

if TYPE_CHECKING:
    from plugin.engine.iterative.iterative_painting import IterativeResult

MOST_MEGAPIXELS = 24.0
PAGE_SIDE = 1280  # pixels of the pictures that the page shows; the download has them all
RENDER_SIZE = 384  # pixels of the longer side of a render
JPEG_QUALITY = 95
UNREADABLE = "That file cannot be read as a picture; choose a JPEG, PNG, TIFF, WebP, HEIC or AVIF file."


@dataclass(frozen=True)
class UploadSettings:
    """How an upload is painted.

    Attributes:
        style: the name of a trained style; "" for the style of the visitor's own picture.
        style_picture: the file of that picture.
        detail, strength, stroke_size, motifs, brushwork: in percent, as in FastSettings and InstantSettings.
        keep_colors: as in BlendSettings.
    """

    style: str = ""
    style_picture: Path | None = None
    detail: float | None = None
    strength: float = 100.0
    stroke_size: float = 100.0
    motifs: float = 60.0
    brushwork: float = 40.0
    keep_colors: bool = False

    @property
    def blend(self) -> BlendSettings:
        """The shares of painting and photo."""
        return BlendSettings(self.strength, self.keep_colors)


@dataclass(frozen=True, eq=False)
class PaintedUpload:
    """What the page shows: photo and painting, uint8 [h, w, 3]; and the whole painting as a file's content."""

    before: np.ndarray
    after: np.ndarray
    file: bytes
    suffix: str
    seconds: float


def read_upload(path: Path) -> Picture:
    """Read an uploaded picture. Raises StyleError, without its name, if it is too large or cannot be read."""
    try:
        values = decode_picture(path, _check_size).srgb()
    except FileNotFoundError as error:
        raise StyleError("That picture has been deleted; upload it again.") from error
    except DamagedPictureError as error:
        raise StyleError("That picture is cut off or damaged; upload it again.") from error
    except UnreadablePictureError as error:
        raise StyleError(UNREADABLE) from error
    pixels = np.ones((*values.shape[:2], 4), np.float32)
    pixels[..., : values.shape[2]] = values / np.float32(np.iinfo(values.dtype).max)
    return Picture(pixels)


def prepare(style: str) -> None:
    """Load a trained style, so the first visitor need not wait for that."""
    open_styles(find_styles(style), FastSettings().device)


def paint_upload(photo: Path, settings: UploadSettings) -> PaintedUpload:
    """Paint an uploaded photo. Raises StyleError for what cannot be painted."""
    picture = read_upload(photo)
    fast = FastSettings(stroke_size=settings.stroke_size, detail=settings.detail, blend=settings.blend)
    if settings.style:
        result = paint_fast(picture, find_styles(settings.style), fast)
        return _painted(picture, result.pixels, result.seconds["total"])
    if settings.style_picture is None:
        raise StyleError("Choose a style, or upload a picture whose style to take.")
    instant = InstantSettings(settings.motifs, settings.brushwork, fast)
    painted = paint_instantly(picture, {read_upload(settings.style_picture): 1.0}, instant)
    return _painted(picture, painted.pixels, painted.seconds["total"])


def render_upload(photo: Path, settings: UploadSettings) -> Iterator[tuple[float, np.ndarray] | PaintedUpload]:
    """Render an uploaded photo in the style of the visitor's own picture.

    Yields the fraction that is done with the developing picture, uint8 [h, w, 3], and in the end the painting. The
    render stops when the iterator is closed. Raises StyleError for what cannot be painted.
    """
    if settings.style_picture is None:
        raise StyleError("Upload a picture whose style to take; a render needs the painting itself.")
    picture, style = read_upload(photo), read_upload(settings.style_picture)
    steps: Queue[Progress | BaseException | IterativeResult] = Queue()
    closed = False

    def progress(step: Progress) -> bool:
        if step.preview is not None:
            steps.put(step)
        return not closed

    def work() -> None:
        try:
            steps.put(_render(picture, style, settings, progress))
        except BaseException as error:  # the page's thread raises it
            steps.put(error)

    Thread(target=work, daemon=True).start()
    try:
        while isinstance(step := steps.get(), Progress):
            if steps.empty() and step.preview is not None:
                yield step.fraction, _eight_bits(step.preview)
        if isinstance(step, BaseException):
            raise step
        yield _painted(picture, step.pixels, step.seconds["total"])
    finally:
        closed = True


def _render(picture: Picture, style: Picture, settings: UploadSettings, progress: ProgressCallback) -> IterativeResult:
    from dataclasses import replace

    from nst_core.base.presets import PRESETS
    from plugin.engine.iterative.iterative_painting import IterativeOptions, paint_iteratively

    recipe = PRESETS["default"]
    recipe = replace(recipe, settings=replace(recipe.settings, size=RENDER_SIZE))
    return paint_iteratively(picture, style, recipe, progress, settings.blend, IterativeOptions(keep_size=True))


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_MEGAPIXELS * 1e6:
        raise StyleError(
            f"That picture has {width * height / 1e6:.0f} megapixels, and this page takes {MOST_MEGAPIXELS:.0f}; make "
            "it smaller first."
        )


def _painted(picture: Picture, pixels: np.ndarray, seconds: float) -> PaintedUpload:
    before, after = (Image.fromarray(_eight_bits(values)) for values in (picture.pixels, pixels))
    transparent = bool((picture.pixels[..., 3] < 1).any())
    file = io.BytesIO()
    if transparent:
        after.save(file, "PNG")
    else:
        after.convert("RGB").save(file, "JPEG", quality=JPEG_QUALITY)
    return PaintedUpload(_shown(before), _shown(after), file.getvalue(), ".png" if transparent else ".jpg", seconds)


def _shown(image: Image.Image) -> np.ndarray:
    """Return an image as the page shows it: small enough, and white where it is transparent."""
    image.thumbnail((PAGE_SIDE, PAGE_SIDE), reducing_gap=2.0)
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    return np.asarray(image)


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    values: np.ndarray = (pixels.clip(0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return values
