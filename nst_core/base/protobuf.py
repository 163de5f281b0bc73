"""Read the wire format of Protocol Buffers, which ONNX files have, from files that are not trusted, and write fields.

The onnx package reads ONNX files too, but importing it takes as long as importing NumPy does, and it reads them whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

LONGEST_NUMBER = 10  # bytes of a varint of 64 bits
LARGEST_KEY = 2**32 - 1  # other readers drop the bits above, so they would see another field
NUMBER, EIGHT_BYTES, MESSAGE, FOUR_BYTES = 0, 1, 2, 5  # wire types; ONNX has no others


class Field(NamedTuple):
    """A field's number, where its content starts and ends in the file, and its value if that is an integer."""

    number: int
    start: int
    end: int
    value: int | None


@dataclass
class MessageReader:
    """Reads the fields of messages in ``file``, ``budget`` of them in all, so a hostile file cannot take long."""

    file: BinaryIO
    budget: int

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """Yield the fields of the message between two offsets, skipping their contents.

        Raises ValueError if the message is damaged or the budget is spent.
        """
        at = start
        while at < end:
            self.budget -= 1
            if self.budget < 0:
                raise ValueError("it has too many parts")
            self.file.seek(at)
            head = self.file.read(min(2 * LONGEST_NUMBER, end - at))
            key, size = _read_number(head, 0)
            if key > LARGEST_KEY:
                raise ValueError("it has a field whose number is too large")
            number, kind = divmod(key, 8)
            value, length = None, {EIGHT_BYTES: 8, FOUR_BYTES: 4}.get(kind, 0)
            if kind == NUMBER:
                value, size = _read_number(head, size)
            elif kind == MESSAGE:
                length, size = _read_number(head, size)
            elif not length:
                raise ValueError(f"it has a field of kind {kind}")
            if not number:
                raise ValueError("it has a field without a number")
            if at + size + length > end:
                raise ValueError("it ends too soon")
            yield Field(number, at + size, at + size + length, value)
            at += size + length

    def content(self, field: Field) -> bytes:
        """Return the bytes of a field. Raises ValueError if the file ends in it."""
        self.file.seek(field.start)
        data = self.file.read(field.end - field.start)
        if len(data) < field.end - field.start:
            raise ValueError("it ends too soon")
        return data


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """Return the varint at an offset, and the offset after it."""
    value = 0
    for index, byte in enumerate(data[at : at + LONGEST_NUMBER]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise ValueError("it has a number that does not end")


def field_bytes(number: int, content: bytes) -> bytes:
    """Return a field whose content is a text or a message, as it is written."""
    return _written_number(number << 3 | MESSAGE) + _written_number(len(content)) + content


def _written_number(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
