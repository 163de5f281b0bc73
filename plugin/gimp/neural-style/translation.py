"""The filter's texts in the user's language. Standard library only: GIMP asks for some before anything is loaded."""

from __future__ import annotations

import gettext
from pathlib import Path

TEXT_DOMAIN = "neural-style"
CATALOGUES = Path(__file__).resolve().parent / "locale"
# The engine's sentences use this catalogue too: nst_core/base/language.py looks them up.
gettext.bindtextdomain(TEXT_DOMAIN, str(CATALOGUES))


def _(text: str) -> str:
    """Return the translation of an English text, or the text itself if there is none."""
    return gettext.dgettext(TEXT_DOMAIN, text)


def ngettext(singular: str, plural: str, count: int) -> str:
    """Return the translation of the form that fits the number."""
    return gettext.dngettext(TEXT_DOMAIN, singular, plural, count)
