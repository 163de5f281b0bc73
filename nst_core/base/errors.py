"""The one error that is meant for the user, and the check that most settings share."""

from __future__ import annotations

from collections.abc import Sequence


class StyleError(Exception):
    """Something that the user can fix. The text is one plain sentence: what is wrong and what to do."""


def check_choice(what: str, value: str, choices: Sequence[str]) -> None:
    """Raise StyleError, listing ``choices``, if ``value`` is none of them. ``what`` names the setting."""
    if value not in choices:
        raise StyleError(f"There is no {what} {value!r}; choose from {', '.join(choices)}.")
