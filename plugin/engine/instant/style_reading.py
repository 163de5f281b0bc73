"""Read style pictures, reduced while they are read to about the size at which they are measured."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.pictures.decoding import UnreadablePictureError, decode_picture, picture_size
from plugin.engine.imaging.picture import Picture
from plugin.engine.imaging.raw_pictures import picture_of
from plugin.engine.instant.instant_settings import READ_PIXELS
from plugin.engine.machine.memory import check_pictures
from plugin.engine.messages import PicturePath, StylePicture


def read_style_pictures(sources: Iterable[tuple[StylePicture, float]]) -> dict[Picture, float]:
    """Return the style pictures that a host names or sends, and their shares. Raises StyleError as below."""
    pictures: dict[Picture, float] = {}
    for source, share in sources:
        picture = read_style_picture(Path(source.path)) if isinstance(source, PicturePath) else picture_of(source)
        pictures[picture] = pictures.get(picture, 0.0) + share
    return pictures


def is_readable(path: Path) -> bool:
    """Return whether a file begins like a picture that ``read_style_picture`` can read."""
    try:
        picture_size(path)
    except (UnreadablePictureError, OSError):
        return False
    return True


def read_style_picture(path: Path) -> Picture:
    """Read a style picture. Raises StyleError if it cannot be read; a file that is cut off or damaged is refused."""
    try:
        modified = path.stat().st_mtime_ns
        return _read(path, modified)
    except UnreadablePictureError as error:
        raise StyleError(
            _("The style picture {path} cannot be read ({error}); choose another one, or save it again.").format(
                path=path, error=error
            )
        ) from error
    except OSError as error:
        raise StyleError(
            _("The style picture {path} cannot be read ({error}); choose another one.").format(
                path=path, error=error.strerror or type(error).__name__
            )
        ) from error


@functools.lru_cache(maxsize=8)  # a preview reads the same few again and again
def _read(path: Path, modified: int) -> Picture:
    # ``modified`` makes a replaced file a new entry.
    decoded = decode_picture(path, lambda width, height: check_pictures(width * height), pixels=READ_PIXELS)
    return Picture(decoded.floats())
