"""Write files whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_NAME = 255  # bytes, or UTF-16 units, in the usual file systems of Linux, macOS and Windows
MOST_LINKS = 40  # as many as Linux follows
LONGEST_SUFFIX = 16  # in bytes; no format that we write has a longer one


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary file with the same suffix that replaces ``path`` if the block succeeds.

    If the block raises, ``path`` stays as it was and the temporary file is removed. The new file takes over the mode of
    the old one, and a symbolic link stays: its target is replaced. The temporary name cannot be guessed, so nobody can
    plant a link there. Leftovers of a killed process are removed when ``path`` is next written. Raises OSError if
    ``path`` cannot be written, or is a pipe or a device, which a file must not replace.
    """
    target = link_target(path)
    if target.exists() and not target.is_file():
        raise FileExistsError(errno.EEXIST, "it is no ordinary file", os.fspath(path))
    _remove_leftovers(target)
    mode = _mode(target)
    name = f"{_prefix(target)}{os.getpid()}-{secrets.token_hex(8)}.partial{_suffix(target)}"
    partial = target.with_name(name)
    # What replaces a private file is never open to others; a new file gets the usual mode.
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else 0o600))
    try:
        yield partial
        if mode is not None:
            with contextlib.suppress(OSError):  # some file systems have no modes
                partial.chmod(mode)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def link_target(path: Path) -> Path:
    """Return the file, existing or not, that ``path`` names through symbolic links.

    As Linux does by default (protected_symlinks), a link that another user laid in a folder for all, such as /tmp, is
    not followed. Raises OSError if there are too many links.
    """
    for _ in range(MOST_LINKS):
        if not path.is_symlink() or not _trusted(path):
            return path
        path = path.parent / path.readlink()
    raise OSError(f"{path} has too many levels of symbolic links")


def is_own(path: Path) -> bool:
    """Return whether a file or folder belongs to this process's user; True where files have no owners."""
    return os.name != "posix" or path.lstat().st_uid == os.geteuid()


def _trusted(link: Path) -> bool:
    if os.name != "posix":
        return True
    folder, owner = link.parent.stat(), link.lstat().st_uid
    shared = folder.st_mode & stat.S_ISVTX and folder.st_mode & stat.S_IWOTH
    return not shared or owner in (os.geteuid(), folder.st_uid)


def _mode(path: Path) -> int | None:
    """Return the permissions of a file, None if there is none."""
    try:
        return stat.S_IMODE(path.lstat().st_mode) & 0o777 if not path.is_symlink() else None
    except FileNotFoundError:
        return None


def _prefix(path: Path) -> str:
    """Return how the temporary names of ``path`` begin on this computer; its own name may be too long for a part."""
    digest = hashlib.sha256(os.fsencode(f"{platform.node()}/{path.name}")).hexdigest()
    return f".neural-style-{digest[:16]}-"


def _suffix(path: Path) -> str:
    return path.suffix if len(os.fsencode(path.suffix)) <= LONGEST_SUFFIX else ""


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of ``path`` whose process has ended."""
    name = re.compile(re.escape(_prefix(path)) + r"([1-9]\d{0,8})-[0-9a-f]{16}\.partial.*", re.DOTALL)
    for file in path.parent.iterdir():
        match = name.fullmatch(file.name)
        if match and not _is_running(int(match[1])):
            with contextlib.suppress(OSError):
                file.unlink()


def _is_running(process: int) -> bool:
    if os.name != "posix":
        return True  # os.kill would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # the process of another user
        return True
    return True
