"""The log file: what went wrong, in full, and how long the rest took. Standard library and gi only, since it is needed
without the engine too.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from gi.repository import Gimp

MOST_BYTES = 2**20


def place() -> Path:
    """In GIMP's profile folder, which is always there."""
    return Path(Gimp.directory(), "neural-style.log")


def write(text: str) -> str:
    """Print the text and add it as an entry, which is returned."""
    print(text, file=sys.stderr)
    return note(text)


def note(text: str) -> str:
    """Add an entry, which is returned; a log grown large makes way. Why it cannot be written is printed only."""
    python = ".".join(map(str, sys.version_info[:3]))
    head = f"{time.strftime('%Y-%m-%d %H:%M:%S')}, GIMP {Gimp.version()}, Python {python}, {sys.platform}"
    entry = f"{head}\n{text.rstrip()}\n"
    try:
        large = place().is_file() and place().stat().st_size > MOST_BYTES
        with place().open("w" if large else "a", encoding="utf-8") as log:
            log.write(f"{entry}\n")
    except OSError as error:
        print(f"{place()}: {error}", file=sys.stderr)
    return entry
