"""Compare the memory that a painting needs with this machine's, and tell the C library how to keep freed memory."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nst_core.base.errors import StyleError
from nst_core.base.language import _

# Bytes kept free for the host and the rest of the machine.
RESERVED_BYTES = 256 * 2**20
MEMINFO = Path("/proc/meminfo")
CONTROL_GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
# For the picture, the network's input and output, and their mixtures, in addition to what the network itself needs.
PICTURE_BYTES_PER_PIXEL = 96
# For a picture that a host has, and for its painting, both as floats.
HOST_BYTES_PER_PIXEL = 32
# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
# Bytes that glibc keeps at the end of the heap. It keeps freed blocks between blocks in use anyway.
KEPT_BYTES = 2**28
_limit_lock = threading.Lock()


class TooLargeError(StyleError):
    """An operation does not fit into memory."""


def check_pictures(pixels: int) -> None:
    """Raise TooLargeError, saying how large a picture would fit, if that many pixels cannot be read and written."""
    check_memory(pixels, HOST_BYTES_PER_PIXEL, False)


def usable_memory(max_memory: float | None) -> int:
    """Return how many bytes this process may still take, if the whole process may take ``max_memory`` GiB.

    None stands for all free memory but RESERVED_BYTES.
    """
    free = max(0, available_memory() - RESERVED_BYTES)
    return free if max_memory is None else min(free, _left_of(max_memory))


def check_max_memory(needed: int, max_memory: float | None, subject: str) -> None:
    """Raise TooLargeError if ``needed`` bytes more are more than the whole process may take, ``max_memory`` GiB."""
    if max_memory is None or needed <= _left_of(max_memory):
        return
    give_back_freed_memory()
    if needed > _left_of(max_memory):
        raise TooLargeError(
            _(
                "{subject} would take about {needed:.2f} GiB in addition to the {taken:.2f} GiB in use, and "
                "{allowed:g} GiB are allowed; allow more memory, or make the picture smaller."
            ).format(subject=subject, needed=needed / 2**30, taken=_taken() / 2**30, allowed=max_memory)
        )


def _left_of(max_memory: float) -> int:
    return max(0, int(max_memory * 2**30) - _taken())


def _taken() -> int:
    """Return the bytes of memory that this process takes now."""
    if sys.platform == "linux":
        import resource

        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    import psutil

    return int(psutil.Process().memory_info().rss)


def check_memory(pixels: int, bytes_per_pixel: float, on_gpu: bool, subject: str = "") -> None:
    """Raise TooLargeError, saying how large a picture would fit, if an operation on ``pixels`` does not fit.

    ``bytes_per_pixel`` is what it needs of the GPU's memory, if ``on_gpu``, or of the machine's. ``subject`` begins the
    sentence; the default is "The picture".
    """
    needed = int(pixels * bytes_per_pixel)
    free = gpu_memory() if on_gpu else available_memory()
    if free is None:
        return
    if needed + RESERVED_BYTES > free and not on_gpu:
        give_back_freed_memory()
        free = available_memory()
    usable = max(0, free - RESERVED_BYTES)
    if needed > usable:
        kind = _("GPU memory") if on_gpu else _("memory")
        raise TooLargeError(
            _(
                "{subject} has {pixels:.1f} megapixels and would take about {needed:.1f} GiB of {kind}, but only "
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
    """Return how many bytes this process may still take.

    That is what the machine has, what the process's control groups and their parents leave (of a container, a systemd
    scope or a batch job), or what ``ulimit -v`` leaves, whichever is least.
    """
    limits = [_machine_memory(), *(_left_in_group(folder, names) for folder, names in _control_groups())]
    return max(0, min(limit for limit in (*limits, _left_of_address_space()) if limit is not None))


@contextmanager
def within_free_memory() -> Iterator[None]:
    """Make allocations beyond the free memory fail during the block, so they do not slow down or end other programs.

    This works on Linux. Blocks in other threads wait, because the limit is the whole process's.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    with _limit_lock:
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + available_memory(), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next allocations.

    Parts of pictures come and go all the time, and feature maps in each iteration, and the system often takes longer to
    hand out fresh memory than the computation itself takes. ``check_memory`` gives the memory back if it is short.
    """
    mallopt = _glibc("mallopt")
    if mallopt:
        mallopt(M_ARENA_MAX, 1)  # one arena: the other threads can use what one thread frees
        mallopt(M_MMAP_MAX, 0)  # large blocks come from the heap too, which keeps them
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def give_back_freed_memory() -> None:
    """Give kept memory back to the system, when memory is short or the next allocations have other sizes."""
    malloc_trim = _glibc("malloc_trim")
    if malloc_trim:
        malloc_trim(0)


def peak_rss_mib() -> float:
    """Return the most memory that this process has used so far, in MiB."""
    if sys.platform == "linux":
        # getrusage() begins with the peak of the process that started this one.
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 2**10
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def gpu_memory() -> int | None:
    """Return the free bytes of the first NVIDIA GPU, or of the one that ``torchrun`` chose; None if unknown."""
    command = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        return int(result.stdout.splitlines()[int(os.environ.get("LOCAL_RANK", "0"))]) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def _glibc(function: str) -> Callable[..., int] | None:
    """Return a function that only glibc has; None with another C library."""
    return getattr(ctypes.CDLL(None), function, None) if sys.platform == "linux" else None


def _machine_memory() -> int:
    # psutil reads the same number, but importing it takes a twentieth of the filter's start.
    if sys.platform == "linux" and (
        available := re.search(r"^MemAvailable: +(\d+) kB$", MEMINFO.read_text(), re.MULTILINE)
    ):
        return int(available[1]) * 2**10
    import psutil

    return int(psutil.virtual_memory().available)


@dataclass(frozen=True)
class _GroupFiles:
    """The names of a control group's files: its limit, what it uses, and in its statistics what can be dropped."""

    limit: str
    used: str
    droppable: tuple[str, ...]


# Control groups of version 2 and 1 (the kernel's admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst).
_UNIFIED = _GroupFiles("memory.max", "memory.current", ("inactive_file", "active_file"))
_LEGACY = _GroupFiles("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))


def _control_groups() -> Iterator[tuple[Path, _GroupFiles]]:
    """Yield the folders of the control groups that limit this process, from its own up to the outermost."""
    try:
        lines = OWN_GROUPS.read_text(errors="replace").splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from ((folder, _UNIFIED) for folder in _up_to(CONTROL_GROUPS, path))
        elif "memory" in controllers.split(","):
            yield from ((folder, _LEGACY) for folder in _up_to(CONTROL_GROUPS / "memory", path))


def _up_to(root: Path, path: str) -> Iterator[Path]:
    """Yield the folder ``path`` below ``root`` and its parents up to ``root``."""
    # In a container the path may be the host's; then only the root is there.
    folder = root / path.lstrip("/")
    yield folder
    while folder != root and root in folder.parents:
        folder = folder.parent
        yield folder


def _left_in_group(folder: Path, files: _GroupFiles) -> int | None:
    limit, used = _read_number(folder / files.limit), _read_number(folder / files.used)
    if limit is None or used is None:
        return None
    # Cached file contents count as used, but the system drops them when memory is needed, those in use last.
    try:
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        used -= sum(int(statistics.get(name, 0)) for name in files.droppable)
    except (OSError, ValueError):
        pass
    return max(0, limit - used)


def _left_of_address_space() -> int | None:
    """Return the bytes that ``ulimit -v`` leaves to this process, None without such a limit."""
    if sys.platform != "linux":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    # While within_free_memory holds the lock, the soft limit is its own.
    limit = hard if _limit_lock.locked() else soft
    if limit == resource.RLIM_INFINITY:
        return None
    taken = Path("/proc/self/statm").read_text().split()[0]  # pages
    return limit - int(taken) * resource.getpagesize()


def _read_number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no control groups, or the word "max"
        return None
