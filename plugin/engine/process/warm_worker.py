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
VARIABLE, SECONDS, MOST_SECONDS = "NEURAL_STYLE_STAY_SECONDS", 600.0, 1e6
# After which it rests: somebody who tries things comes back sooner.
REST_SECONDS = 10.0
# One that does not greet within these is not waited for.
PATIENCE = 1.0
NAMESPACE = Path("/proc/self/ns/pid")
GREETING = b"\n"


class Engine(NamedTuple):
    """What a host has of the engine that it joined: what the engine prints, and what ends it when it is closed, as the
    end of the host does.
    """

    connection: socket.socket
    errors: IO[bytes]
    life: IO[bytes]


class Host(NamedTuple):
    """What an engine has of the host that joined it: ends of pipes, one to print to and one that says if it still
    lives.
    """

    connection: socket.socket
    errors: int
    life: int


def seconds() -> float:
    """For how long an engine is to stay: what the user says, or SECONDS."""
    try:
        return min(max(0.0, float(os.environ[VARIABLE])), MOST_SECONDS) if POSSIBLE else 0.0
    except (KeyError, ValueError):
        return SECONDS


def name(host: int, version: str) -> str:
    """Under what name the engine of this version stays for the host with this process id; empty if it cannot."""
    try:
        # Sandboxes may have the same numbers for different processes.
        return f"neural-style-{NAMESPACE.stat().st_ino}-{host}-{version}" if POSSIBLE else ""
    except OSError:
        return ""


def join(name: str) -> Engine | None:
    """The engine that stays under ``name`` and has nothing to do, or None."""
    if not POSSIBLE:
        return None
    (errors, printed), (lived, life) = os.pipe(), os.pipe()
    engine = Engine(socket.socket(socket.AF_UNIX), os.fdopen(errors, "rb"), os.fdopen(life, "wb"))
    try:
        engine.connection.settimeout(PATIENCE)
        engine.connection.connect(f"\0{name}")
        if is_ours(engine.connection) and engine.connection.recv(1) == GREETING:
            socket.send_fds(engine.connection, [GREETING], [printed, lived])
            engine.connection.settimeout(None)
            return engine
    except OSError:
        pass
    finally:
        os.close(printed)
        os.close(lived)
    for end in engine:
        end.close()
    return None


def next_host(name: str, host: int, rest: Callable[[], None]) -> Host | None:
    """Wait for somebody to join. None if the process ``host`` ends, if nobody joins for ``seconds()``, or if another
    engine stays under this name. ``rest`` is called after REST_SECONDS.
    """
    with suppress(OSError), socket.socket(socket.AF_UNIX) as listener, os.fdopen(os.pidfd_open(host)) as ended:
        listener.bind(f"\0{name}")
        listener.listen(1)
        now = time.monotonic()
        resting, last = now + REST_SECONDS, now + seconds()
        while now < last:
            ready, _, _ = select.select([listener.fileno(), ended.fileno()], [], [], max(0, min(resting, last) - now))
            if ended.fileno() in ready:
                return None
            if ready and (joined := _accept(listener)):
                return joined
            now = time.monotonic()
            if now >= resting:
                rest()
                resting = last
    return None


def _accept(listener: socket.socket) -> Host | None:
    connection, _ = listener.accept()
    try:
        connection.settimeout(PATIENCE)
        if is_ours(connection):
            connection.send(GREETING)
            _, (errors, life), _, _ = socket.recv_fds(connection, 1, 2)
            connection.settimeout(None)
            return Host(connection, errors, life)
    except (OSError, ValueError):  # the latter if it sent none
        pass
    connection.close()
    return None


def streams(connection: socket.socket) -> tuple[IO[bytes], IO[bytes]]:
    """What to read from the other end, and what to write to it."""
    # The socket's own files cannot be closed any more while an interpreter ends, and say so.
    reading, writing = os.dup(connection.fileno()), os.dup(connection.fileno())
    return os.fdopen(reading, "rb"), os.fdopen(writing, "wb")


def other_end(connection: socket.socket) -> tuple[int, int]:
    """The process and the user that were there when the connection was made."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    process, user, _ = struct.unpack("3i", credentials)
    return process, user


def is_ours(connection: socket.socket) -> bool:
    """Whether the same user is at the other end, and no sandbox: messages are pickled, and are not to be read from
    anybody else. Raises OSError if that cannot be found out.
    """
    process, user = other_end(connection)
    return user == os.getuid() and Path(f"/proc/{process}/ns/pid").stat().st_ino == NAMESPACE.stat().st_ino
