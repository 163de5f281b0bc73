"""Sentences for people, in the user's language where the host has catalogues."""

from __future__ import annotations

import gettext

DOMAIN = "neural-style"


def _(text: str) -> str:
    """The translation of an English text, or the text itself.

    A host that has catalogues names them with ``gettext.bindtextdomain(DOMAIN, folder)``; without any, all is English.
    """
    return gettext.dgettext(DOMAIN, text)
