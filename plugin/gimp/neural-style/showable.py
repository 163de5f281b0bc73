"""Text for GIMP and GTK, which take only valid UTF-8. Standard library only."""

from __future__ import annotations

import re

# Python reads each byte of a file's name that is not UTF-8 as a lone surrogate, and JSON can hold them too.
UNSHOWABLE = re.compile("[\0\ud800-\udfff]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def showable(text: str) -> str:
    """Return the text with a replacement character for each character that GIMP and GTK refuse.

    Everything that may hold a name from a file passes through here on its way to GIMP, GTK or the log.
    """
    return UNSHOWABLE.sub(REPLACEMENT, text)
