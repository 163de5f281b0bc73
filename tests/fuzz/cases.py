"""Strategies for hostile input: real files with a few bytes changed, and values of any kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

# Lengths, offsets and counts at which readers go wrong.
ODD_NUMBERS = [
    number.to_bytes(size, order)
    for size in (1, 2, 4, 8)
    for number in (0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1)
    for order in ("little", "big")
]
MOST_CHANGES = 6

Change = Callable[[bytes, int, bytes], bytes]
CHANGES: dict[str, Change] = {
    "overwrite": lambda data, at, piece: data[:at] + piece + data[at + len(piece) :],
    "insert": lambda data, at, piece: data[:at] + piece + data[at:],
    "delete": lambda data, at, piece: data[:at] + data[at + len(piece) :],
    "cut off": lambda data, at, piece: data[:at],
    "flip a bit": lambda data, at, piece: (
        data[:at] + bytes(b ^ 1 << piece[0] % 8 for b in data[at : at + 1]) + data[at + 1 :]
    ),
    "repeat": lambda data, at, piece: data[:at] + data[at : at + 4 * len(piece)] * 3 + data[at:],
    "move the end here": lambda data, at, piece: data[:at] + data[-4 * len(piece) :],
}


@st.composite
def changed(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Draw one of the files with up to MOST_CHANGES changes."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, MOST_CHANGES))):
        change = CHANGES[draw(st.sampled_from(sorted(CHANGES)))]
        # Half of the changes hit the header.
        at = draw(st.integers(0, len(data)) | st.integers(0, min(len(data), 128)))
        data = change(data, at, draw(st.sampled_from(ODD_NUMBERS) | st.binary(min_size=1, max_size=6)))
    return data


def any_text() -> st.SearchStrategy[str]:
    """Text of any characters, also control characters and halves of surrogate pairs."""
    return st.text(st.characters(codec=None), max_size=30)


def any_value() -> st.SearchStrategy[Any]:
    """A value as JSON or TOML has it."""
    simple = st.none() | st.booleans() | st.integers() | st.floats() | any_text()
    return st.recursive(
        simple, lambda part: st.lists(part, max_size=4) | st.dictionaries(any_text(), part, max_size=4), max_leaves=8
    )


def some_of(known: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A table with some of the known names, their values or others, and perhaps unknown names."""
    entries = st.one_of(
        *(st.tuples(st.just(name), st.just(value) | any_value()) for name, value in known.items()),
        st.tuples(any_text(), any_value()),
    )
    return st.lists(entries, max_size=6).map(dict)
