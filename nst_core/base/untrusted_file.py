"""Check a file of unknown origin before it is opened."""

from __future__ import annotations

import stat
from pathlib import Path

from nst_core.base.errors import StyleError
from nst_core.base.language import _

LFS_POINTER = b"version https://git-lfs.github.com/spec/"  # how every pointer begins, by Git LFS's specification
LONGEST_POINTER = 1024  # bytes, by the same specification


def check_untrusted_file(path: Path, largest: int | None = None) -> None:
    """Raise StyleError unless ``path`` is an ordinary file of at most ``largest`` bytes and not a Git LFS pointer.

    A pipe could block for ever when it is opened, and a device may do anything.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise StyleError(_("{path} is not an ordinary file; choose another.").format(path=path))
        start = b""
        if status.st_size <= LONGEST_POINTER:
            with path.open("rb") as file:
                start = file.read(len(LFS_POINTER))
    except FileNotFoundError as error:
        raise StyleError(_("There is no file {path}; check its name.").format(path=path)) from error
    except (OSError, ValueError) as error:
        raise StyleError(
            _("{path} cannot be read ({strerror}); fix that or choose another file.").format(
                path=path, strerror=getattr(error, "strerror", None) or error
            )
        ) from error
    if largest is not None and status.st_size > largest:
        raise StyleError(
            _("{path} is larger than any network of its kind ({size:.0f} MB); choose another file.").format(
                path=path, size=status.st_size / 1e6
            )
        )
    if start == LFS_POINTER:
        raise StyleError(
            _("{path} is a Git LFS pointer, not the file itself; run `git lfs pull` in its repository.").format(
                path=path
            )
        )
