"""The one error that is meant for the person at the other end."""


class StyleError(Exception):
    """Something the user can mend. The text is one plain sentence: what is wrong and what to do."""
