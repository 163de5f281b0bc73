"""Read style pictures, reduced while they are read to about the size at which they are measured."""

from __future__ import annotations

import functools
import io
import subprocess
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from plugin.engine.imaging.picture import Picture
from plugin.engine.imaging.raw_pictures import picture_of
from plugin.engine.instant.instant_settings import READ_PIXELS
from plugin.engine.machine.provider import python_executable
from plugin.engine.messages import PicturePath, StylePicture

# Hosts read other kinds of files, such as SVG, themselves.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
READING_SECONDS = 300
# What the process that reads a picture says before the pixels, or before the reason why there are none.
PIXELS_FOLLOW, REASON_FOLLOWS = b"+", b"-"


def read_style_pictures(sources: Iterable[tuple[StylePicture, float]]) -> dict[Picture, float]:
    """Return the style pictures that a host names or sends, and their shares. Raises StyleError as below."""
    pictures: dict[Picture, float] = {}
    for source, share in sources:
        picture = read_style_picture(Path(source.path)) if isinstance(source, PicturePath) else picture_of(source)
        pictures[picture] = pictures.get(picture, 0.0) + share
    return pictures


def is_readable(path: Path) -> bool:
    """Return whether a file begins like a picture that ``read_style_picture`` can read."""
    import pillow_heif

    if not path.is_file():  # to open a pipe waits for its writer
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it is reduced while it is read
            if not pillow_heif.is_supported(str(path)):
                Image.open(path, formats=FORMATS).close()
            return True
    except Image.DecompressionBombError:
        return True
    except Exception:  # Pillow's plugins raise many kinds of error for a damaged file
        return False


def read_style_picture(path: Path) -> Picture:
    """Read a style picture. Raises StyleError if it cannot be read; a file that is cut off or damaged is refused."""
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise _unreadable(path, error.strerror or type(error).__name__) from error
    except subprocess.TimeoutExpired as error:
        raise _unreadable(path, _("it takes too long")) from error


@functools.lru_cache(maxsize=8)  # a preview reads the same few again and again
def _read(path: Path, modified: int) -> Picture:
    # ``modified`` makes a replaced file a new entry.
    answer = _answer_of_process(path) if "gi" in sys.modules else encoded_pixels(path)
    if not answer.startswith(PIXELS_FOLLOW):
        raise _unreadable(path, answer[1:].decode(errors="replace") or _("it did not say why"))
    return Picture(np.load(io.BytesIO(answer[1:]), allow_pickle=False))


def encoded_pixels(path: Path) -> bytes:
    """Return a picture's pixels as NumPy writes them, after PIXELS_FOLLOW, or why there are none."""
    from nst_core.pictures.decoding import decode_picture
    from plugin.engine.machine.memory import check_pictures

    try:
        pixels = decode_picture(path, lambda width, height: check_pictures(width * height), pixels=READ_PIXELS).floats()
    except StyleError as error:  # also of a picture that is too large
        return REASON_FOLLOWS + str(error).rstrip(".").encode()
    stream = io.BytesIO()
    np.save(stream, pixels, allow_pickle=False)
    return PIXELS_FOLLOW + stream.getvalue()


def _answer_of_process(path: Path) -> bytes:
    """Return ``encoded_pixels`` from a process of its own.

    In a process with GTK, libvips takes GTK's GLib for its own, and fails or crashes.
    """
    command = [python_executable(), "-c", _SCRIPT, str(path), *sys.path]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=READING_SECONDS)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        return REASON_FOLLOWS + (lines[-1] if lines else f"exit code {done.returncode}").encode()
    return done.stdout


def _unreadable(path: Path, reason: str) -> StyleError:
    text = _("The style picture {path} cannot be read ({reason}); choose another one, or save it again.")
    return StyleError(text.format(path=path, reason=reason))


_SCRIPT = """
import sys
path = sys.argv[1]
sys.path[:] = sys.argv[2:]
from pathlib import Path
from plugin.engine.instant.style_reading import encoded_pixels
from plugin.engine.process.lifetime import end_with_parent
end_with_parent()
sys.stdout.buffer.write(encoded_pixels(Path(path)))
"""
