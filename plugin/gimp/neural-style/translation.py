"""The filter's texts in the user's language. Standard library only: GIMP asks for some before anything is loaded."""

from __future__ import annotations

import gettext
from pathlib import Path

DOMAIN = "neural-style"
CATALOGUES = Path(__file__).resolve().parent / "locale"
# For the engine's sentences too, which nst_core/base/language.py looks up.
gettext.bindtextdomain(DOMAIN, str(CATALOGUES))


def _(text: str) -> str:
    """The translation of an English text, or the text itself."""
    return gettext.dgettext(DOMAIN, text)


def ngettext(one: str, several: str, count: int) -> str:
    """The same of a text that depends on a number."""
    return gettext.dngettext(DOMAIN, one, several, count)
