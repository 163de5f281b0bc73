"""An engine's process that stays for the host's next plug-in, so that this need not wait for one to start.

Only on Linux, whose abstract sockets leave no files behind and tell who is at the other end. Standard library only.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

POSSIBLE = sys.platform == "linux" and hasattr(os, "pidfd_open")
# For how long it stays with nothing to do; 0 for not at all.
VARIABLE, SECONDS = "NEURAL_STYLE_STAY_SECONDS", 600.0
# After which it rests: somebody who tries things comes back sooner.
REST_SECONDS = 10.0
# One that does not greet within these is not waited for.
PATIENCE = 1.0
NAMESPACE = Path("/proc/self/ns/pid")
GREETING = b"\n"


def seconds() -> float:
    """For how long an engine is to stay: what the user says, or SECONDS."""
    try:
        return max(0.0, float(os.environ[VARIABLE])) if POSSIBLE else 0.0
    except (KeyError, ValueError):
        return SECONDS


def name(host: int, version: str) -> str:
    """Under what name the engine of this version stays for the host with this process id."""
    # Sandboxes may have the same numbers for different processes.
    return f"neural-style-{NAMESPACE.stat().st_ino}-{host}-{version}" if POSSIBLE else ""


def join(name: str) -> tuple[socket.socket, IO[bytes]] | None:
    """A connection to the engine that stays under ``name`` and has nothing to do, and what it prints from now on; or
    None.
    """
    if not POSSIBLE:
        return None
    readable, writable = os.pipe()
    printed, connection = os.fdopen(readable, "rb"), socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(PATIENCE)
        connection.connect(f"\0{name}")
        if _is_ours(connection) and connection.recv(1) == GREETING:
            socket.send_fds(connection, [GREETING], [writable])
            connection.settimeout(None)
            return connection, printed
    except OSError:
        pass
    finally:
        os.close(writable)
    connection.close()
    printed.close()
    return None


class OtherEnd(NamedTuple):
    """The process that a connection leads to."""

    pid: int
    user: int


def other_end(connection: socket.socket) -> OtherEnd:
    """Who was there when the connection was made."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return OtherEnd(*struct.unpack("3i", credentials)[:2])


def next_joined(name: str, host: int, rest: Callable[[], None]) -> tuple[socket.socket, int] | None:
    """Wait for somebody to join: the connection, and the file descriptor to print to. None if the host ends, if nobody
    joins for ``seconds()``, or if another engine stays under this name. ``rest`` is called after REST_SECONDS.
    """
    with suppress(OSError), socket.socket(socket.AF_UNIX) as listener, os.fdopen(os.pidfd_open(host)) as ended:
        listener.bind(f"\0{name}")
        listener.listen(1)
        last = time.monotonic() + seconds()
        wait = min(REST_SECONDS, seconds())
        while True:
            ready, _, _ = select.select([listener.fileno(), ended.fileno()], [], [], wait)
            if ended.fileno() in ready:
                return None
            if ready:
                if joined := _accept(listener):
                    return joined
            elif time.monotonic() >= last:
                return None
            else:
                rest()
            wait = max(0.0, last - time.monotonic())
    return None


def _accept(listener: socket.socket) -> tuple[socket.socket, int] | None:
    connection, _ = listener.accept()
    try:
        connection.settimeout(PATIENCE)
        if _is_ours(connection):
            connection.send(GREETING)
            _, files, _, _ = socket.recv_fds(connection, 1, 1)
            if files:
                connection.settimeout(None)
                return connection, files[0]
    except OSError:
        pass
    connection.close()
    return None


def _is_ours(connection: socket.socket) -> bool:
    """Whether the same user is at the other end: messages are pickled, and are not to be read from anybody else."""
    return other_end(connection).user == os.getuid()
