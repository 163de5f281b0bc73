"""The style pictures that the user has chosen, to choose them again. Standard library only."""

from __future__ import annotations

from pathlib import Path

from plugin.engine.machine import paths
from plugin.engine.machine.kept_list import read_list, write_list

MOST_OWN_PICTURES = 48


def own_pictures() -> list[str]:
    """Return the URIs of the user's pictures, the one that was added last first."""
    return read_list(_file())


def add_picture(uri: str) -> None:
    """Add a picture, unless it is there. Raises StyleError if that cannot be remembered."""
    pictures = own_pictures()
    if uri not in pictures:
        write_list(_file(), [uri, *pictures][:MOST_OWN_PICTURES])


def remove_picture(uri: str) -> None:
    """Remove a picture from the list; its file stays. Raises StyleError if that cannot be remembered."""
    write_list(_file(), [picture for picture in own_pictures() if picture != uri])


def _file() -> Path:
    return paths.data_folder() / "pictures.json"
