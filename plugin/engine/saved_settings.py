"""The settings that the user saved under names, and the styles that were used last. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from nst_core.base.language import _
from plugin.engine.machine import paths

# What a host calls its settings, with values that JSON has.
Settings = dict[str, Any]

SETTINGS_FORMAT = 1
MOST_RECENT = 8


@dataclass(frozen=True)
class SavedSettings:
    """What the user's file of saved settings holds.

    Attributes:
        named: the settings by their names, in the order in which they were first saved.
        recent: the settings that choose each of the last styles, the latest first.
    """

    named: Mapping[str, Settings] = field(default_factory=dict)
    recent: tuple[Settings, ...] = ()


def read_saved_settings() -> SavedSettings:
    """Return what was saved, without anything damaged."""
    return settings_in(_file())


def settings_in(file: Path) -> SavedSettings:
    """Return what a file of saved settings holds, without anything damaged; nothing if it cannot be read."""
    try:
        values = _parse(file)
    except (OSError, ValueError, RecursionError):
        return SavedSettings()
    named, recent = values.get("named"), values.get("recent")
    return SavedSettings(
        {name: entry for name, entry in (named if isinstance(named, dict) else {}).items() if isinstance(entry, dict)},
        tuple(entry for entry in (recent if isinstance(recent, list) else []) if isinstance(entry, dict)),
    )


def save_settings(name: str, settings: Settings) -> str:
    """Save settings under a name, in place of others of that name, and return the name without extra spaces.

    Raises StyleError if the name is empty or the file cannot be written.
    """
    name, saved = _clean(name), read_saved_settings()
    _write(replace(saved, named={**saved.named, name: settings}))
    return name


def rename_settings(old: str, new: str) -> None:
    """Give saved settings another name. Raises StyleError if it is empty or taken, or if the file cannot be written."""
    new, saved = _clean(new), read_saved_settings()
    if new != old and new in saved.named:
        raise StyleError(_("Settings named {name!r} already exist; choose another name.").format(name=new))
    _write(replace(saved, named={new if name == old else name: entry for name, entry in saved.named.items()}))


def delete_settings(name: str) -> None:
    """Delete saved settings. Raises StyleError if the file cannot be written."""
    saved = read_saved_settings()
    _write(replace(saved, named={other: entry for other, entry in saved.named.items() if other != name}))


def remember_style(settings: Settings) -> None:
    """Remember the settings that choose the style just used. Raises StyleError if the file cannot be written."""
    saved = read_saved_settings()
    others = [entry for entry in saved.recent if entry != settings]
    _write(replace(saved, recent=(settings, *others)[:MOST_RECENT]))


def _file() -> Path:
    return paths.data_folder() / "saved-settings.json"


def _parse(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file. Raises OSError, ValueError or RecursionError if there is none."""
    values = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError("not an object")
    return values


def _clean(name: str) -> str:
    """Return a name on one line. Raises StyleError if it is empty."""
    name = " ".join(name.split())
    if not name:
        raise StyleError(_("The settings need a name; type one."))
    return name


def _write(saved: SavedSettings) -> None:
    file = _file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _set_damaged_aside(file)
        with written_whole(file) as partial:
            partial.write_text(json.dumps({"format": SETTINGS_FORMAT} | asdict(saved), indent=1), encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        text = _("{path} cannot be written ({reason}); check the folder.")
        raise StyleError(text.format(path=file, reason=reason)) from error


def _set_damaged_aside(file: Path) -> None:
    """Rename a file that cannot be read, so what it holds is not overwritten."""
    with suppress(FileNotFoundError):
        try:
            _parse(file)
        except (ValueError, RecursionError):
            file.replace(file.with_suffix(".damaged.json"))
