"""The styles there are: every ``.onnx`` in the bundled folder and in the user's."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from plugin.engine.machine import paths

PREFIX = "neural_style."
FORMAT_VERSION = 2


@dataclass(frozen=True)
class Style:
    """One style of a style file, described by the file's own metadata.

    Attributes:
        index, count: which of the file's styles this is, and how many it has.
        name: the slug that scripts and ``--style`` use.
        thumbnail: a small JPEG.
        multiple_of, minimum_size: what the network wants of a picture's height and width, in pixels.
        bytes_per_pixel: memory that a run was measured to take at its peak, per input pixel.
        trained: how it was trained, as ``{"steps": "4000", ...}``.
    """

    path: Path
    index: int
    count: int
    name: str
    title: str
    artist: str
    year: str
    licence: str
    thumbnail: bytes
    multiple_of: int
    minimum_size: int
    bytes_per_pixel: int
    trained: dict[str, str] = field(hash=False)


def read_styles(path: Path) -> list[Style]:
    """Read the descriptions in a style file, of one style or more. Raises StyleError if it is none."""
    if not path.is_file():
        raise StyleError(_("There is no style file {path}; check its name.").format(path=path))
    try:
        metadata = _metadata(memoryview(path.read_bytes()))
        entries = {key.removeprefix(PREFIX): value for key, value in metadata.items() if key.startswith(PREFIX)}
    except (LookupError, OSError, ValueError) as error:
        raise StyleError(
            _("{path} is no ONNX file; choose a style made by `neural-style export`.").format(path=path)
        ) from error
    if "format" not in entries:
        raise StyleError(
            _("{path} is no Neural Style file (it has no description); make one with `neural-style export`.").format(
                path=path
            )
        )
    try:
        if int(entries["format"]) > FORMAT_VERSION:
            raise StyleError(
                _("{path} was made by a newer version of Neural Style; update this one.").format(path=path)
            )
        if int(entries["format"]) < FORMAT_VERSION:
            raise StyleError(
                _("{path} was made by an older version of Neural Style; train or import it again.").format(path=path)
            )
        step, minimum, memory = (int(entries[key]) for key in ("multiple_of", "minimum_size", "bytes_per_pixel"))
        if min(step, minimum, memory) < 1:
            raise ValueError("a size below 1")
        cards = json.loads(entries["styles"])
        if not cards:
            raise ValueError("no style")
        return [
            Style(
                path=path,
                index=index,
                count=len(cards),
                thumbnail=base64.b64decode(card["thumbnail"]),
                multiple_of=step,
                minimum_size=minimum,
                bytes_per_pixel=memory,
                trained={k.removeprefix("trained."): v for k, v in entries.items() if k.startswith("trained.")},
                **{key: str(card[key]) for key in ("name", "title", "artist", "year", "licence")},
            )
            for index, card in enumerate(cards)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise StyleError(
            _("The description in {path} is damaged ({error}); copy or export the file again.").format(
                path=path, error=error
            )
        ) from error


def _metadata(model: memoryview) -> dict[str, str]:
    """The metadata of an ONNX file: field 14 of its ModelProto, in which 1 is a key and 2 its value.

    The onnx package reads it too, but importing that takes as long as importing NumPy does.
    """
    pairs = (dict(_fields(value)) for number, value in _fields(model) if number == 14)
    return {str(pair[1], "utf-8"): str(pair.get(2, b""), "utf-8") for pair in pairs}


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and bytes of each field that has a length, in the wire format of Protocol Buffers."""
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while at < len(message):
        field, kind = divmod(number(), 8)
        if kind == 0:
            number()
            continue
        length = number() if kind == 2 else {1: 8, 5: 4}[kind]
        if at + length > len(message):
            raise IndexError("the file ends too soon")
        if kind == 2:
            yield field, message[at : at + length]
        at += length


@dataclass(frozen=True)
class Library:
    """The readable styles by name, and a sentence for each file in the style folders that is none."""

    styles: dict[str, Style]
    left_out: list[str]


def read_library() -> Library:
    """What is in the style folders; a user's style hides a bundled one of the same name."""
    styles: dict[str, Style] = {}
    left_out = []
    for folder in (paths.bundled_styles_folder(), paths.user_styles_folder()):
        for path in sorted(folder.glob("*.onnx")):
            try:
                styles |= {style.name: style for style in read_styles(path)}
            except StyleError as error:
                left_out.append(str(error))  # one bad file must not hide the others
    return Library(dict(sorted(styles.items(), key=lambda item: item[1].title.casefold())), left_out)


def list_styles() -> list[Style]:
    """Every readable style, by title."""
    return list(read_library().styles.values())


def find_styles(text: str) -> dict[Style, float]:
    """The styles that ``text`` names, with their shares, which sum to 1.

    ``text`` is a style's name, a style file (then its first style), or a mixture: ``great-wave:0.6,udnie:0.4``. Raises
    StyleError if a name is unknown (it tells the close ones) or a share is no positive number.
    """
    if text.lower().endswith(".onnx"):
        return {read_styles(Path(text))[0]: 1.0}
    library = read_library().styles
    weights: dict[Style, float] = {}
    for part in text.split(","):
        name, _colon, share = part.strip().partition(":")
        style = _named(name, library)
        try:
            weights[style] = weights.get(style, 0.0) + float(share or 1.0)
        except ValueError:
            raise StyleError(
                _("{share!r} is no share of a style; mix them like this: great-wave:0.6,udnie:0.4").format(share=share)
            ) from None
    if not all(0 < weight < math.inf for weight in weights.values()):
        raise StyleError(
            _("The shares of the styles in {text!r} must be above 0; leave out what is not wanted.").format(text=text)
        )
    total = sum(weights.values())
    return {style: weight / total for style, weight in weights.items()}


def _named(name: str, styles: dict[str, Style]) -> Style:
    if name in styles:
        return styles[name]
    if not styles:
        raise StyleError(
            _("There is no style called {name!r}, and none is installed at all; run install.py again.").format(
                name=name
            )
        )
    import difflib

    close = difflib.get_close_matches(name.lower(), styles, n=3, cutoff=0.4)
    if close:
        raise StyleError(
            _("There is no style called {name!r}; did you mean {close}?").format(name=name, close=" or ".join(close))
        )
    raise StyleError(
        _("There is no style called {name!r}; choose from {styles}.").format(
            name=name, styles=", ".join(sorted(styles))
        )
    )
