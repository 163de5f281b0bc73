"""The log file: errors in full, and how long each run took.

Uses the standard library and gi only, because it is needed without the engine too.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from gi.repository import Gimp
from showable import showable

MOST_LOG_BYTES = 2**20


def path() -> Path:
    """Return the path of the log, in GIMP's profile folder, which always exists."""
    return Path(Gimp.directory(), "neural-style.log")


def write_error(text: str) -> str:
    """Print the text, append it as an entry, and return the entry."""
    print(showable(text), file=sys.stderr)
    return write(text)


def write(text: str) -> str:
    """Append the text, made showable, as an entry and return the entry.

    If the log is larger than ``MOST_LOG_BYTES``, the entry replaces it. If it cannot be written, the reason is only
    printed.
    """
    python = ".".join(map(str, sys.version_info[:3]))
    head = f"{time.strftime('%Y-%m-%d %H:%M:%S')}, GIMP {Gimp.version()}, Python {python}, {sys.platform}"
    entry = f"{head}\n{showable(text.rstrip())}\n"
    try:
        too_large = path().is_file() and path().stat().st_size > MOST_LOG_BYTES
        with path().open("w" if too_large else "a", encoding="utf-8") as log:
            log.write(f"{entry}\n")
    except OSError as error:
        print(f"{path()}: {error}", file=sys.stderr)
    return entry
