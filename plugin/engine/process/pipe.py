"""What a host and its worker (see remote.py and worker.py) send each other over a pipe. Standard library only.

Messages are pickled, since both ends are ours. They may run different versions of Python.
"""

from __future__ import annotations

import pickle
from enum import Enum
from pathlib import Path, PurePath
from typing import IO, Any

# The oldest Python that install.py takes reads this one.
PROTOCOL = 5
# A call that says that there will be no more of them.
LEAVE = "leave"


class Own(Enum):
    """Stands in a message for what cannot be sent: the receiver has one of its own, which does the same."""

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
        if isinstance(value, PurePath):  # whose classes are in modules of other names in other versions
            return path, (str(value),)
        if isinstance(value, memoryview):
            # Without a copy, which is as long as the picture.
            return bytes, (pickle.PickleBuffer(value.toreadonly()),)
        return NotImplemented


def path(text: str) -> Path:
    """A path that was sent."""
    return Path(text)
