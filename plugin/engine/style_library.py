"""The styles there are: every ``.onnx`` in the bundled folder and in the user's."""

from __future__ import annotations

import base64
import difflib
from dataclasses import dataclass
from pathlib import Path

import onnx

from nst_core.errors import StyleError
from plugin.engine import paths

PREFIX = "neural_style."
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Style:
    """One style file, described by its own metadata.

    Attributes:
        name: the slug that scripts and ``--style`` use.
        thumbnail: a small JPEG.
        multiple_of, minimum_size: what the network wants of a picture's height and width, in pixels.
        bytes_per_pixel: memory that a run was measured to take at its peak, per input pixel.
        trained: how it was trained, as ``{"steps": "4000", ...}``.
    """

    path: Path
    name: str
    title: str
    artist: str
    year: str
    licence: str
    thumbnail: bytes
    multiple_of: int
    minimum_size: int
    bytes_per_pixel: int
    trained: dict[str, str]


def read_style(path: Path) -> Style:
    """Read the description of a style file. Raises StyleError if it is none."""
    if not path.is_file():
        raise StyleError(f"There is no style file {path}; check its name.")
    try:
        model = onnx.load(path, load_external_data=False)
        entries = {p.key.removeprefix(PREFIX): p.value for p in model.metadata_props if p.key.startswith(PREFIX)}
    except Exception as error:  # protobuf raises its own kinds, which the onnx package does not name
        raise StyleError(f"{path} is no ONNX file; choose a style made by `neural-style export`.") from error
    if "format" not in entries:
        raise StyleError(
            f"{path} is no Neural Style file (it has no description); make one with `neural-style export`."
        )
    try:
        if int(entries["format"]) > FORMAT_VERSION:
            raise StyleError(f"{path} was made by a newer version of Neural Style; update this one.")
        step, minimum, memory = (int(entries[key]) for key in ("multiple_of", "minimum_size", "bytes_per_pixel"))
        if min(step, minimum, memory) < 1:
            raise ValueError("a size below 1")
        return Style(
            path=path,
            thumbnail=base64.b64decode(entries["thumbnail"]),
            multiple_of=step,
            minimum_size=minimum,
            bytes_per_pixel=memory,
            trained={k.removeprefix("trained."): v for k, v in entries.items() if k.startswith("trained.")},
            **{key: entries[key] for key in ("name", "title", "artist", "year", "licence")},
        )
    except (KeyError, ValueError) as error:
        raise StyleError(f"The description in {path} is damaged ({error}); copy or export the file again.") from error


@dataclass(frozen=True)
class Library:
    """The readable styles by name, and a sentence for each file in the style folders that is none."""

    styles: dict[str, Style]
    left_out: list[str]


def read_library() -> Library:
    """What is in the style folders; a user's file hides a bundled one of the same name."""
    styles, left_out = {}, []
    for folder in (paths.bundled_styles_folder(), paths.user_styles_folder()):
        for path in sorted(folder.glob("*.onnx")):
            try:
                style = read_style(path)
            except StyleError as error:
                left_out.append(str(error))  # one bad file must not hide the others
            else:
                styles[style.name] = style
    return Library(dict(sorted(styles.items(), key=lambda item: item[1].title.casefold())), left_out)


def list_styles() -> list[Style]:
    """Every readable style, by title."""
    return list(read_library().styles.values())


def find_style(name: str) -> Style:
    """The style called ``name``, or the one in the file ``name``. Raises StyleError naming the close ones."""
    if name.lower().endswith(".onnx"):
        return read_style(Path(name))
    styles = read_library().styles
    if name in styles:
        return styles[name]
    if not styles:
        raise StyleError(f"There is no style called {name!r}, and none is installed at all; run install.py again.")
    close = difflib.get_close_matches(name.lower(), styles, n=3, cutoff=0.4)
    if close:
        raise StyleError(f"There is no style called {name!r}; did you mean {' or '.join(close)}?")
    raise StyleError(f"There is no style called {name!r}; choose from {', '.join(sorted(styles))}.")
