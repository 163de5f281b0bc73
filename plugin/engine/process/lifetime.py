"""For processes that must not outlive the one that they work for. Standard library only."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys

PR_SET_PDEATHSIG = 1  # of linux/prctl.h
F_SETSIG = 10  # of linux/fcntl.h


def end_with_parent(wanted: bool = True) -> None:
    """Have Linux end this process at once when the one that started it dies, whatever either is doing then; or, if that
    is not ``wanted`` any more, let it live on.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL if wanted else 0)


def end_with_pipe(pipe: int) -> None:
    """Have Linux end this process at once when the other end of the pipe is closed, into which nobody writes. If this
    end, a file descriptor, is closed before, it lives on.
    """
    if sys.platform == "linux":
        import fcntl

        # In the system, so that no library's lock is in the way: some take seconds to load, and Python waits for them.
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
        if select.select([pipe], [], [], 0)[0]:  # closed before
            os._exit(1)
