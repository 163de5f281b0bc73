"""How much memory a run would take, and how much there is; and what the C library does with it."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from nst_core.base.errors import StyleError
from nst_core.base.language import _

# Kept free for the host and the rest of the machine.
RESERVE = 256 * 2**20
MEMORY = Path("/proc/meminfo")
CONTROL_GROUP = Path("/sys/fs/cgroup")
# The picture, what a network sees of it, what comes back, and the mixtures, beside the network's own needs.
PICTURE_BYTES_PER_PIXEL = 96
# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
KEPT = 2**28  # bytes, at the end of what was taken; what lies between blocks in use stays anyway


class TooLarge(StyleError):
    """A run that does not fit into memory."""


def check_pictures(pixels: int) -> None:
    """Raise TooLarge, saying how large a picture would fit, if pictures of so many pixels do not fit into memory."""
    check_memory(pixels, PICTURE_BYTES_PER_PIXEL, False)


def check_memory(pixels: int, bytes_per_pixel: int, on_gpu: bool, subject: str = "") -> None:
    """Raise TooLarge, saying how large a picture would fit, if a run over ``pixels`` would not fit into memory.

    ``subject`` begins the sentence; by default it is the picture.
    """
    needed = pixels * bytes_per_pixel
    free = gpu_memory() if on_gpu else available_memory()
    if free is None:
        return
    if needed + RESERVE > free and not on_gpu:
        give_back_freed_memory()
        free = available_memory()
    usable = max(0, free - RESERVE)
    if needed > usable:
        kind = _("GPU memory") if on_gpu else _("memory")
        raise TooLarge(
            _(
                "{subject} has {pixels:.1f} megapixels and would take about {needed:.1f} GiB of {kind}, of which "
                "{usable:.1f} GiB is free; make it smaller (at most {most:.1f} megapixels) or close other programs."
            ).format(
                subject=subject or _("The picture"),
                pixels=pixels / 1e6,
                needed=needed / 2**30,
                kind=kind,
                usable=usable / 2**30,
                most=usable / bytes_per_pixel / 1e6,
            )
        )


def available_memory() -> int:
    """Bytes that this process may still take: the machine's, or its control group's where that is less."""
    free = _machine_memory()
    limit, used = (_number(CONTROL_GROUP / name) for name in ("memory.max", "memory.current"))
    if limit is None or used is None:
        return free
    # Cached file contents count as used, but go when memory is asked for.
    statistics = dict(line.split() for line in (CONTROL_GROUP / "memory.stat").read_text().splitlines())
    return min(free, max(0, limit - used + int(statistics.get("inactive_file", 0))))


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for what comes next: parts of pictures come and go all the time, and features in
    each iteration, and it takes the system longer to hand out fresh memory than to compute many a part. It goes back
    where memory is short.
    """
    mallopt = _glibc("mallopt")
    if mallopt:
        mallopt(M_ARENA_MAX, 1)  # what one thread frees is for the others too
        mallopt(M_MMAP_MAX, 0)  # large blocks too
        mallopt(M_TRIM_THRESHOLD, KEPT)


def give_back_freed_memory() -> None:
    """Give the system what is kept: where memory is short, or what comes next is of other sizes."""
    malloc_trim = _glibc("malloc_trim")
    if malloc_trim:
        malloc_trim(0)


def peak_rss_mib() -> float:
    """The most memory this process has had in use so far, in MiB."""
    if sys.platform == "linux":
        # getrusage() would start from the peak of the process that started this one.
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 2**10
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def gpu_memory() -> int | None:
    """Free bytes of the first NVIDIA GPU, or of the one that ``torchrun`` gave this process; None if untold."""
    command = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        return int(answer.stdout.splitlines()[int(os.environ.get("LOCAL_RANK", "0"))]) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def _glibc(function: str) -> Callable[..., int] | None:
    """One of its own functions, or None: other C libraries do without."""
    return getattr(ctypes.CDLL(None), function, None) if sys.platform == "linux" else None


def _machine_memory() -> int:
    # psutil tells the same, but takes a twentieth of the filter's start to import.
    if sys.platform == "linux" and (told := re.search(r"^MemAvailable: +(\d+) kB$", MEMORY.read_text(), re.MULTILINE)):
        return int(told[1]) * 2**10
    import psutil

    return psutil.virtual_memory().available


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no control groups, or the word "max"
        return None
