"""The messages of a host and its worker (see remote.py and worker.py). Standard library only.

Messages are pickled, since both ends are ours. The two ends may run different versions of Python.
"""

from __future__ import annotations

import pickle
from enum import Enum
from pathlib import Path, PurePath
from typing import IO, Any

# The oldest Python that install.py accepts can read this pickle protocol.
PROTOCOL = 5
# Sent in place of a method's name: there will be no more calls; stop a running call; an answer to its progress.
LEAVE, STOP, REPLY = "leave", "stop", "reply"


class StandIn(Enum):
    """Takes the place of an argument that cannot be sent; the receiver puts one of its own there."""

    PROGRESS = "progress"
    STOPPER = "stopper"


def send(stream: IO[bytes], message: object) -> None:
    """Write a message. Raises OSError if nobody reads any more."""
    _Pickler(stream, PROTOCOL).dump(message)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Wait for a message. Raises EOFError if there will be none."""
    return pickle.load(stream)


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: object) -> Any:
        if isinstance(value, PurePath):  # its class is in a module of another name in other versions of Python
            return path, (str(value),)
        if isinstance(value, memoryview):
            # Without a copy, which would be as large as the picture.
            return bytes, (pickle.PickleBuffer(value.toreadonly()),)
        return NotImplemented


def path(text: str) -> Path:
    """Return a path that was sent as text."""
    return Path(text)
