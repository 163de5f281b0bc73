"""Translate sentences into the user's language, if the host has a catalogue for it."""

from __future__ import annotations

import gettext

DOMAIN = "neural-style"


def _(text: str) -> str:
    """Return the translation of an English text, or the text itself if there is none.

    A host names the folder of its catalogues with ``gettext.bindtextdomain(DOMAIN, folder)``.
    """
    return gettext.dgettext(DOMAIN, text)
