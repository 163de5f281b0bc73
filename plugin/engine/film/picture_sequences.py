"""Films that are pictures: animations in one GIF, WebP or PNG file, and numbered picture files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from nst_core.pictures.decoding import UnreadablePictureError, decode_picture, error_reason
from plugin.engine.film.clip_reading import BT709, LIMITED_RANGE, Clip, Colours
from plugin.engine.film.film_settings import ANIMATION_FORMATS, PICTURE_NUMBER, FilmSettings
from plugin.engine.film.frames import Frame
from plugin.engine.imaging.picture import Picture
from plugin.engine.machine.memory import check_memory, check_pictures

WEBP_QUALITY, JPEG_OF_SEQUENCE = 90, 95
# Every frame of an animation stays in memory until it is written, and the writer copies it.
BYTES_PER_ANIMATED_PIXEL = 12
MILLISECOND = Fraction(1, 1000)


def is_animation(path: Path) -> bool:
    """Return whether a file is an animation, which has several frames. Only its beginning is read."""
    if path.suffix.lower() not in ANIMATION_FORMATS or not path.is_file():
        return False
    try:
        with _opened(path) as image:
            return _frame_count(image) > 1
    except StyleError:  # the error is reported when it is painted
        return False


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an animation. Raises StyleError if Pillow cannot read it, whatever Pillow raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about sizes and damage, which are checked here
            with Image.open(path, formats=sorted(set(ANIMATION_FORMATS.values()))) as image:
                yield image
    except (MemoryError, StyleError):
        raise
    except Exception as error:  # Pillow's plugins raise many kinds of error for a damaged file
        raise StyleError(
            f"{path} cannot be read as an animation ({error_reason(error)}); open it in another program and save it "
            "again."
        ) from error


def _frame_count(image: Image.Image) -> int:
    return int(getattr(image, "n_frames", 1))


class AnimationFrames:
    """The frames of an animation: a ``FrameSource``. Raises StyleError if they do not fit into memory."""

    def __init__(self, path: Path, settings: FilmSettings) -> None:
        self._path, self._settings, self.damaged = path, settings, 0
        with _opened(path) as image:
            self.count = _frame_count(image)
            self.loop = int(image.info.get("loop", 1 if image.format == "GIF" else 0))
            duration = float(image.info.get("duration", 0)) or 100.0
            self.clip = _facts(path, image.size, MILLISECOND, Fraction(1000) / Fraction(duration), self.count)
        check_memory(self.count * self.clip.width * self.clip.height, BYTES_PER_ANIMATED_PIXEL, on_gpu=False)

    def frames(self, first: int = 0) -> Iterator[Frame]:
        """Yield the frames of the chosen part from number ``first`` on."""
        moment, number = Fraction(0), 0
        with _opened(self._path) as image:
            for position in range(self.count):
                try:
                    image.seek(position)
                    pixels = np.asarray(image.convert("RGBA"), np.float32) / np.float32(255)
                except MemoryError:
                    raise
                except Exception:  # a damaged frame; those after it build on it
                    self.damaged = self.count - position
                    return
                duration = Fraction(round(float(image.info.get("duration", 0)))) * MILLISECOND
                if self._settings.start <= moment < self._settings.end:
                    if number >= first:
                        yield Frame(Picture(pixels), moment, duration)
                    number += 1
                moment += duration or Fraction(1, 10)  # as browsers show frames without a duration


class AnimationWriter:
    """Writes an animation: a ``FrameSink``. ``loop`` is how many times it is shown, 0 for endlessly."""

    painted = 0

    def __init__(self, target: Path, loop: int = 0) -> None:
        self._target, self._loop = target, loop
        self._frames: list[Image.Image] = []
        self._durations: list[int] = []

    def write(self, frame: Frame, pixels: np.ndarray) -> None:
        """Keep a painted frame."""
        self._frames.append(_image(pixels))
        self._durations.append(round(frame.duration * 1000))

    def finish(self) -> None:
        """Write all frames. Raises StyleError if there are none or they cannot be written."""
        if not self._frames:
            raise StyleError("There is no frame in that part; give another --from and --to.")
        kind = ANIMATION_FORMATS[self._target.suffix.lower()]
        own = {"WEBP": {"quality": WEBP_QUALITY}, "GIF": {"disposal": 2}, "PNG": {}}[kind]
        first, *others = self._frames
        try:
            with written_whole(self._target) as partial:
                first.save(
                    partial,
                    kind,
                    save_all=True,
                    append_images=others,
                    duration=self._durations,
                    # A GIF that says nothing is shown once.
                    **own | ({} if kind == "GIF" and self._loop == 1 else {"loop": self._loop}),
                )
        except (OSError, ValueError) as error:
            raise StyleError(
                f"{self._target} cannot be written ({error}); free some space, or choose another place or format."
            ) from error


class NumberedFrames:
    """The pictures that a pattern such as ``frames/%04d.png`` names, in the order of their numbers: a ``FrameSource``.

    Raises StyleError if there are none, or the first one cannot be read.
    """

    def __init__(self, pattern: Path, settings: FilmSettings) -> None:
        self._settings, self.damaged = settings, 0
        before, after = PICTURE_NUMBER.split(pattern.name)
        name = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
        places = pattern.parent.iterdir() if pattern.parent.is_dir() else ()
        numbered = {int(match[1]): path for path in places if (match := name.fullmatch(path.name))}
        self._rate = Fraction(settings.rate).limit_denominator(1001)
        step = 1 / self._rate
        self._files = [
            (number * step, numbered[key])
            for number, key in enumerate(sorted(numbered))
            if settings.start <= number * step < settings.end
        ]
        self.count = len(self._files)
        if not self._files:
            raise StyleError(f"There are no pictures {pattern} in that part; check the pattern and the numbers.")
        first = _read(self._files[0][1])
        self.clip = _facts(pattern, (first.width, first.height), step, self._rate, self.count)

    def frames(self, first: int = 0) -> Iterator[Frame]:
        """Yield the pictures from number ``first`` on. Raises StyleError for one of another size."""
        for moment, path in self._files[first:]:
            picture = _read(path)
            if (picture.width, picture.height) != (self.clip.width, self.clip.height):
                raise StyleError(
                    f"{path} has {picture.width}x{picture.height} pixels, and the first picture "
                    f"{self.clip.width}x{self.clip.height}; give pictures of one size."
                )
            yield Frame(picture, moment, 1 / self._rate)


class NumberedWriter:
    """Writes numbered pictures, from 1 on: a ``FrameSink``. Pictures that are there already are kept."""

    def __init__(self, pattern: Path) -> None:
        self._pattern = pattern
        self.painted = 0
        while self._path(self.painted + 1).exists():
            self.painted += 1
        self._number = self.painted

    def write(self, frame: Frame, pixels: np.ndarray) -> None:
        """Write a painted picture, whole or not at all."""
        self._number += 1
        path, image = self._path(self._number), _image(pixels)
        if path.suffix.lower() in (".jpg", ".jpeg"):
            image = image.convert("RGB")
        try:
            with written_whole(path) as partial:
                image.save(partial, quality=JPEG_OF_SEQUENCE)
        except (OSError, ValueError) as error:
            raise StyleError(
                f"{path} cannot be written ({error}); free some space, or choose another place or format."
            ) from error

    def finish(self) -> None:
        """Do nothing: every picture is written already."""

    def _path(self, number: int) -> Path:
        return self._pattern.with_name(PICTURE_NUMBER.sub(lambda match: match[0] % number, self._pattern.name))


def _facts(path: Path, size: tuple[int, int], time_base: Fraction, rate: Fraction, count: int) -> Clip:
    """Return what ``ClipWriter`` needs to know to make a film of pictures."""
    return Clip(
        path=path,
        width=size[0],
        height=size[1],
        quarter_turns=0,
        colours=Colours(BT709, LIMITED_RANGE, BT709, BT709),
        pixel_aspect=Fraction(1),
        time_base=time_base,
        rate=rate,
        count=count,
        notes=(),
        is_film=False,
    )


def _read(path: Path) -> Picture:
    try:
        return Picture(decode_picture(path, lambda width, height: check_pictures(width * height)).floats())
    except UnreadablePictureError as error:
        raise StyleError(f"{path} cannot be read as a picture ({error}); leave it out or replace it.") from error


def _image(pixels: np.ndarray) -> Image.Image:
    """Return an image of 8 bits per channel, without alpha if it is opaque."""
    values = (pixels.clip(0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    opaque = bool(np.min(values[..., 3]) == 255)
    return Image.fromarray(np.ascontiguousarray(values[..., :3]) if opaque else values)
