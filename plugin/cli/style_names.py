"""Read how the command line names styles: ``STYLE[:WEIGHT],…``, each a trained style, a style file or a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from nst_core.base.errors import StyleError
from nst_core.style_file import Style, read_styles
from plugin.engine.fast.style_library import find_styles, read_library

STYLE_FILE = ".onnx"
NamedStyle: TypeAlias = Style | Path


@dataclass(frozen=True)
class NamedStyles:
    """The trained styles and the style pictures that were named, and their shares, which sum to 1 together."""

    trained: dict[Style, float]
    pictures: dict[Path, float]

    @property
    def titles(self) -> str:
        """The styles as people call them."""
        return " + ".join([*(style.title for style in self.trained), *(path.name for path in self.pictures)])

    @property
    def short_name(self) -> str:
        """The styles for the name of a result."""
        return "+".join([*(style.name for style in self.trained), *(path.stem for path in self.pictures)])

    @property
    def described(self) -> str:
        """The styles in the form that ``read_style_names`` reads."""
        shares = [(style.name, share) for style, share in self.trained.items()]
        shares += [(str(path), share) for path, share in self.pictures.items()]
        return ",".join(f"{name}:{share:g}" if share < 1 else name for name, share in shares)


def read_style_names(texts: Sequence[str]) -> NamedStyles:
    """Return the styles that texts name, and their shares.

    The longest name of an existing file wins over a reading with a comma or a colon, and a file over a trained style.
    Raises StyleError if there is no such style or picture, or a weight is not a positive number.
    """
    weights: dict[NamedStyle, float] = {}
    for text in texts:
        for style, weight in _split(text):
            weights[style] = weights.get(style, 0.0) + weight
    if not all(0 < weight < math.inf for weight in weights.values()):
        raise StyleError("The weights of styles must be above 0; leave out the styles you do not want.")
    total = sum(weights.values())
    return NamedStyles(
        {style: weight / total for style, weight in weights.items() if isinstance(style, Style)},
        {path: weight / total for path, weight in weights.items() if isinstance(path, Path)},
    )


def _split(text: str) -> list[tuple[NamedStyle, float]]:
    ends = [position for position, letter in enumerate(text) if letter == ","]
    for end in (len(text), *reversed(ends)):
        single = _single(text[:end].strip())
        if single is not None:
            return [single, *(_split(text[end + 1 :]) if end < len(text) else [])]
    raise _unknown(text)


def _single(text: str) -> tuple[NamedStyle, float] | None:
    """Return the style that ``text`` names, and its weight; None if it names none."""
    if style := _named(text):
        return style, 1.0
    name, _colon, weight = text.rpartition(":")
    try:
        return (style, float(weight)) if (style := _named(name)) else None
    except ValueError:
        return None


def _named(name: str) -> NamedStyle | None:
    path = Path(name)
    if name and path.is_file():
        return read_styles(path)[0] if path.suffix.lower() == STYLE_FILE else path
    # A folder is no style either, but its name may be that of a style.
    return read_library().styles.get(name) or (path if name and path.exists() else None)


def _unknown(text: str) -> StyleError:
    """Return the error to raise if ``text`` does not begin with the name of a style."""
    from nst_core.pictures.decoding import READ_SUFFIXES

    first = text.partition(",")[0].strip()
    name, colon, weight = first.rpartition(":")
    if colon and _named(name):
        return StyleError(f"{weight!r} is not the weight of a style; write it as in {name}:0.6.")
    if not first or Path(first).suffix.lower() in READ_SUFFIXES:
        return StyleError(
            f"There is no picture {first}; check its name, or give several as in one.jpg:0.6,two.jpg:0.4."
        )
    try:
        find_styles(name if colon and _is_number(weight) else first)
    except StyleError as error:  # which names the closest styles
        return error
    raise AssertionError(first)  # _named would have found it


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
