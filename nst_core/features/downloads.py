"""Download weights on first use: resume interrupted downloads, check them, and write them whole or not at all.

The environment variable NEURAL_STYLE_MIRRORS may name more addresses, separated by spaces; each has the files directly
under it.
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
"""Called with the bytes received so far and the bytes in total. Returns False to stop."""


@dataclass(frozen=True)
class Download:
    """A file on the web: its official address, its sha256 in hex (or the beginning), and its size in bytes."""

    url: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        """The last part of the address."""
        return self.url.rsplit("/", 1)[1]

    @property
    def path(self) -> Path:
        """Its path on disk: torch.hub's folder, shared with every other program that uses torchvision."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.filename

    @property
    def addresses(self) -> list[str]:
        """The addresses to try, in order."""
        mirrors = os.environ.get(MIRRORS_VARIABLE, "").split()
        return [self.url, *(f"{base.rstrip('/')}/{self.filename}" for base in mirrors)]


def continue_download(done: int, total: int) -> bool:
    """Continue, whatever the progress."""
    return True


def fetch(download: Download, progress: DownloadProgress = continue_download) -> Path:
    """Download a file to ``download.path``, and return that.

    A partial file stays in the same folder, and the next call resumes it, even if the program was killed. Raises
    StyleError if no address has the right file, another program is downloading it, or ``progress`` returned False.
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
                "{name} ({size:.0f} MB) is not on this machine and could not be fetched ({error}); "
                "download {url} on another machine and put it at {target}, or choose the feature network compact, "
                "which needs no download."
            ).format(name=target.name, size=download.size / 1e6, error=error, url=download.url, target=target)
        ) from error
    return target


@contextmanager
def _claimed(path: Path) -> Iterator[BufferedRandom]:
    """Open the partial file and keep it locked until the block ends; then delete it if it is empty."""
    with path.open("a+b") as file:
        # Its previous owner may have deleted it after we opened it and before we locked it.
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
    """Lock a file until it is closed or the process ends. Return False if somebody else has locked it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file.fileno(), 2**31 - 2, os.SEEK_SET)  # a byte that is never read: locked bytes cannot be read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True  # a file system without locks, where the worst outcome is a wrong checksum
    return True


def _receive_from_any(file: BufferedRandom, download: Download, progress: DownloadProgress) -> None:
    """Complete ``file`` from the first address that works. Raises OSError with all reasons if none does."""
    reasons = []
    for address in download.addresses:
        try:
            return _receive(file, address, download, progress)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: not an address
            reasons.append(f"{address}: {error}")
    raise OSError("; ".join(reasons))


def _receive(file: BufferedRandom, address: str, download: Download, progress: DownloadProgress) -> None:
    """Complete ``file`` from one address. Empties it and raises OSError if the checksum is wrong."""
    resumed = file.seek(0, os.SEEK_END)
    if resumed < download.size:
        _append(file, address, download, progress)
    file.seek(0)
    if hashlib.file_digest(file, "sha256").hexdigest().startswith(download.sha256):
        return
    file.truncate(0)
    if not resumed:
        raise OSError("the file received has the wrong checksum")
    _receive(file, address, download, progress)  # the fault may lie in the part received earlier


def _append(file: BufferedRandom, address: str, download: Download, progress: DownloadProgress) -> None:
    def report(done: int) -> None:
        if not progress(done, download.size):
            raise StyleError(
                _(
                    "The download of {filename} was stopped after {done:.0f} of {size:.0f} MB; the next one "
                    "continues from there."
                ).format(filename=download.filename, done=done / 1e6, size=download.size / 1e6)
            )

    done = file.seek(0, os.SEEK_END)
    report(done)
    request = Request(address, headers={"User-Agent": "neural-style", "Range": f"bytes={done}-"})
    with urlopen(request, timeout=TIMEOUT_SECONDS) as response:
        if response.status != 206:  # the server ignores the range and sends the whole file
            file.truncate(0)
            done = 0
        promised = min(download.size, done + int(response.headers.get("Content-Length", 0)))
        while chunk := response.read1(min(CHUNK_BYTES, download.size - done)):
            file.write(chunk)
            done += len(chunk)
            report(done)
    if done < promised:
        raise OSError("the connection was lost")
