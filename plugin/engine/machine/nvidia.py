"""Whether there is an NVIDIA card to paint with."""

from __future__ import annotations

import ctypes
import sys

# Standard library only: install.py asks before any environment exists.


def nvidia_driver() -> bool:
    """Whether the NVIDIA driver's library loads."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
