"""The user's own style files, and which styles the user likes best. Standard library only."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from nst_core.base.language import _
from nst_core.style_file import Style, read_styles, with_title
from plugin.engine.fast.style_library import read_library
from plugin.engine.machine import paths
from plugin.engine.machine.kept_list import not_written, read_list, write_list


def is_own(style: Style) -> bool:
    """Return whether a style's file is in the folder of the user's styles."""
    return style.path.parent.resolve() == paths.user_styles_folder().resolve()


def add_style(path: Path) -> list[Style]:
    """Copy a style file into the folder of the user's styles, and return its styles.

    Raises StyleError if it is not a style file, if a style or a file of that name is there already, or if it cannot be
    copied.
    """
    styles, library = read_styles(path), read_library().styles
    for style in styles:
        if style.name in library:
            raise StyleError(
                _("There is already a style called {name!r}; remove it first if you want to replace it.").format(
                    name=style.name
                )
            )
    target = paths.user_styles_folder() / f"{path.stem}.onnx"
    if target.exists():
        raise StyleError(_("{target} exists already; give the new file another name.").format(target=target))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(target) as partial:
            shutil.copyfile(path, partial)
    except OSError as error:
        raise not_written(target, error) from error
    return read_styles(target)


def rename_style(style: Style, title: str) -> None:
    """Give one of the user's styles another title; the name for scripts stays.

    Raises StyleError if the title is empty or the file cannot be written.
    """
    title = " ".join(title.split())
    if not title:
        raise StyleError(_("A style needs a title; type one."))
    try:
        data = with_title(style, title)
        with written_whole(style.path) as partial:
            partial.write_bytes(data)
    except OSError as error:
        raise not_written(style.path, error) from error


def read_favourites() -> list[str]:
    """Return the names of the styles that the user likes best; none if they cannot be read."""
    return read_list(_favourites_file())


def write_favourites(names: Collection[str]) -> None:
    """Remember the names of the styles that the user likes best. Raises StyleError if that is not possible."""
    write_list(_favourites_file(), sorted(names))


def _favourites_file() -> Path:
    return paths.data_folder() / "favourites.json"
