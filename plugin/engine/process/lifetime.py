"""End a process together with the process it works for. Standard library only."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys

PR_SET_PDEATHSIG = 1  # from linux/prctl.h
F_SETSIG = 10  # from linux/fcntl.h


def end_with_parent(enabled: bool = True) -> None:
    """Have Linux end this process as soon as its parent dies, whatever either is doing; or undo that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL if enabled else 0)


def end_with_pipe(pipe: int) -> None:
    """Have Linux end this process as soon as the other end of a pipe closes.

    ``pipe`` is the file descriptor of this end. Nobody may write to the pipe, because that would end the process too.
    If this end closes first, the process lives on.
    """
    if sys.platform == "linux":
        import fcntl

        # The kernel does it, because Python would be late: it waits while a library loads, and some take seconds.
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
        if select.select([pipe], [], [], 0)[0]:  # closed already
            os._exit(1)
