"""For processes that must not outlive the one that they work for. Standard library only."""

from __future__ import annotations

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def end_with_parent(wanted: bool = True) -> None:
    """Have Linux end this process at once when the one that started it dies, whatever either is doing then; or, if that
    is not ``wanted`` any more, let it live on.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL if wanted else 0)
