"""Translate sentences for users, if the host has catalogues of their language."""

from __future__ import annotations

import gettext

DOMAIN = "neural-style"


def _(text: str) -> str:
    """Return the translation of an English text, or the text itself if there is none.

    A host names the folder of its catalogues with ``gettext.bindtextdomain(DOMAIN, folder)``.
    """
    return gettext.dgettext(DOMAIN, text)
