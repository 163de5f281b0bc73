"""Weights that are fetched on first need: resumed where a download broke off, checked, and written whole or not at all.

The environment variable NEURAL_STYLE_MIRRORS may name further addresses to ask, separated by spaces: a file is looked
for right under each of them.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from io import BufferedRandom
from pathlib import Path
from urllib.request import Request, urlopen

import torch

from nst_core.base.errors import StyleError
from nst_core.base.language import _

MIRRORS_VARIABLE = "NEURAL_STYLE_MIRRORS"
TIMEOUT_SECONDS = 30
CHUNK_BYTES = 2**16

DownloadProgress = Callable[[int, int], bool]
"""Called with the bytes that are here and the bytes in all. Returns False to stop."""


@dataclass(frozen=True)
class Download:
    """A file on the net: its official address, the sha256 in hex (or how it begins), and its size in bytes."""

    url: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        return self.url.rsplit("/", 1)[1]

    @property
    def path(self) -> Path:
        """Where it is kept: torch.hub's folder, shared with every other program that uses torchvision."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.filename

    @property
    def addresses(self) -> list[str]:
        """Where it is asked for, in turn."""
        mirrors = os.environ.get(MIRRORS_VARIABLE, "").split()
        return [self.url, *(f"{base.rstrip('/')}/{self.filename}" for base in mirrors)]


def ignore(done: int, total: int) -> bool:
    """The callback of a caller that does not care."""
    return True


def fetch(download: Download, progress: DownloadProgress = ignore) -> Path:
    """Fetch a file to ``download.path``, which is returned.

    What has come of it stays beside that place until it is whole, and the next call goes on from there, also after the
    program was killed. Raises StyleError with one sentence if no address gives the right file, another program is
    fetching it at the moment, or ``progress`` returned False.
    """
    target = download.path
    partial = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _claimed(partial) as file:
            if target.is_file():
                return target  # another program has just put it there
            _receive_from_any(file, download, progress)
        partial.replace(target)
    except OSError as error:
        if target.is_file():
            return target  # another program was quicker
        raise StyleError(
            _(
                "{name} ({size:.0f} MiB) is not on this machine and could not be fetched ({error}); get "
                "{url} on another machine and put it at {target}, or choose the feature network compact, which "
                "needs none."
            ).format(name=target.name, size=download.size / 2**20, error=error, url=download.url, target=target)
        ) from error
    return target


@contextmanager
def _claimed(path: Path) -> Iterator[BufferedRandom]:
    """The partial file, ours alone until the block ends. It stays, unless it is empty."""
    with path.open("a+b") as file:
        # Whoever had it before may have removed it between the opening and the locking.
        if not _locked(file) or os.fstat(file.fileno()).st_nlink == 0:
            name = path.name.removeprefix(".").removesuffix(".partial")
            raise StyleError(
                _("Another program is fetching {name} at the moment; try again when it is done.").format(name=name)
            )
        try:
            yield file
        finally:
            if file.seek(0, os.SEEK_END) == 0:
                with suppress(PermissionError):  # Windows does not remove an open file
                    path.unlink()


def _locked(file: BufferedRandom) -> bool:
    """Lock a file until it is closed or the process ends, however that comes. False if somebody else has."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file.fileno(), 2**31 - 2, os.SEEK_SET)  # a byte that is never read: locked ones cannot be
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True  # a file system without locks; a checksum that is wrong is then the worst that can happen
    return True


def _receive_from_any(file: BufferedRandom, download: Download, progress: DownloadProgress) -> None:
    """Complete ``file`` from the first address that can. Raises OSError with all the reasons if none can."""
    reasons = []
    for address in download.addresses:
        try:
            return _receive(file, address, download, progress)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: an address that is none
            reasons.append(f"{address}: {error}")
    raise OSError("; ".join(reasons))


def _receive(file: BufferedRandom, address: str, download: Download, progress: DownloadProgress) -> None:
    """Complete ``file`` from one address. Empties it and raises OSError if what came is wrong."""
    resumed = file.seek(0, os.SEEK_END)
    if resumed < download.size:
        _append(file, address, download, progress)
    file.seek(0)
    if hashlib.file_digest(file, "sha256").hexdigest().startswith(download.sha256):
        return
    file.truncate(0)
    if not resumed:
        raise OSError("what came has the wrong checksum")
    _receive(file, address, download, progress)  # the fault may be in what was here before


def _append(file: BufferedRandom, address: str, download: Download, progress: DownloadProgress) -> None:
    def tell(done: int) -> None:
        if not progress(done, download.size):
            raise StyleError(
                _(
                    "The download of {filename} was stopped after {done:.0f} of {size:.0f} MiB; the next one "
                    "goes on from there."
                ).format(filename=download.filename, done=done / 2**20, size=download.size / 2**20)
            )

    done = file.seek(0, os.SEEK_END)
    tell(done)
    request = Request(address, headers={"User-Agent": "neural-style", "Range": f"bytes={done}-"})
    with urlopen(request, timeout=TIMEOUT_SECONDS) as response:
        if response.status != 206:  # the server sends the whole file, whatever was asked for
            file.truncate(0)
            done = 0
        promised = min(download.size, done + int(response.headers.get("Content-Length", 0)))
        while chunk := response.read1(min(CHUNK_BYTES, download.size - done)):
            file.write(chunk)
            done += len(chunk)
            tell(done)
    if done < promised:
        raise OSError("the connection broke off")
