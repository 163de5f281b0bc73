"""Prepare text of unknown origin for showing it to people."""

from __future__ import annotations

import unicodedata

# They join letters in Persian, in the scripts of India, and in emoji.
JOINERS = "\u200c\u200d"
# Characters of another library's message, which may quote a file.
LONGEST_REASON = 300
LEFT_OUT = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode's categories


def one_line(text: str, longest: int) -> str:
    """Return ``text`` on one line of at most ``longest`` characters, without what a terminal or a label would act on.

    Control characters (such as those of escape sequences), format characters (such as those that change the direction
    of writing) and halves of surrogate pairs are left out. Line ends and tabs become spaces.
    """
    spaced = " ".join(text[: 8 * longest].split())
    shown = "".join(
        character for character in spaced if character in JOINERS or unicodedata.category(character) not in LEFT_OUT
    ).strip()
    return shown if len(shown) <= longest else shown[: longest - 1].rstrip() + "…"
