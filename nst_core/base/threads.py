"""Set how PyTorch's OpenMP threads wait for each other."""

from __future__ import annotations

import os


def shorten_openmp_waits() -> None:
    """Let waiting OpenMP threads sleep after microseconds, unless the user's environment says otherwise.

    By default, GNU OpenMP lets them spin for milliseconds and so keeps other processes from the CPU. On two CPU cores,
    two renders at once then take 7 to 18 times as long as one; with short waits, less than twice as long. A single
    render at 256 pixels takes the same time. Call this before PyTorch is imported: OpenMP reads its variables then.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
