"""Lists of texts that the user's choices make, such as favourites, kept in JSON files. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from nst_core.base.language import _


def read_list(file: Path) -> list[str]:
    """Return the texts in a file; none if it cannot be read."""
    with suppress(OSError, ValueError, RecursionError):
        texts = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(texts, list):
            return [text for text in texts if isinstance(text, str)]
    return []


def write_list(file: Path, texts: Collection[str]) -> None:
    """Write texts to a file, whole or not at all. Raises StyleError if that is not possible."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(file) as partial:
            partial.write_text(json.dumps(list(texts)), encoding="utf-8")
    except OSError as error:
        raise not_written(file, error) from error


def not_written(path: Path, error: OSError) -> StyleError:
    """Return the error to raise if a file of the user's choices cannot be written."""
    reason = error.strerror or type(error).__name__
    return StyleError(_("{path} cannot be written ({reason}); check the folder.").format(path=path, reason=reason))
