"""Find out whether there is an NVIDIA GPU. Standard library only: install.py needs it before any environment exists."""

from __future__ import annotations

import ctypes
import sys


def nvidia_driver() -> bool:
    """Return whether the NVIDIA driver's library loads."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
