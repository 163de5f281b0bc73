"""Write tables, texts and JSON records, whole or not at all. Imports neither PyTorch nor ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole

Record = dict[str, Any]  # what a JSON report holds


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table in Markdown, without a final newline."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Have ``write`` write ``path``, whole or not at all; create its folder. Raises StyleError if that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            write(partial)
    except OSError as error:
        raise StyleError(f"{path} cannot be written ({error.strerror}); fix that or choose another place.") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file. Raises StyleError if that fails."""
    write_file(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file. Raises StyleError if that fails."""
    write_file(path, lambda partial: partial.write_text(json.dumps(content, indent=1)))


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; None if there is no such file."""
    return json.loads(path.read_text()) if path.exists() else None


def cached_record(path: Path, key: str, measure: Callable[[], Record]) -> Record:
    """Return the record in ``path`` if it was measured under ``key``; otherwise measure it and write it there."""
    record: Record | None = read_json(path)
    if record is not None and record["key"] == key:
        return record
    record = {"key": key, **measure()}
    write_json(path, record)
    return record
