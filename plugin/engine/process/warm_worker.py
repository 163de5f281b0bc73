"""A worker process that stays for the host's next plug-in, which then need not wait for a worker to start.

Only on Linux, where abstract sockets leave no files behind and reveal who is at the other end. Standard library only.
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
from dataclasses import dataclass
from pathlib import Path
from typing import IO

CAN_STAY = sys.platform == "linux" and hasattr(os, "pidfd_open")
# How many seconds an idle worker stays; 0 for not at all.
STAY_VARIABLE, DEFAULT_STAY_SECONDS, MAX_STAY_SECONDS = "NEURAL_STYLE_STAY_SECONDS", 600.0, 1e6
# The idle seconds after which it releases memory; a user who is trying settings comes back sooner.
RELEASE_SECONDS = 10.0
GREETING_SECONDS = 1.0
PID_NAMESPACE = Path("/proc/self/ns/pid")
GREETING = b"\n"


@dataclass(frozen=True)
class JoinedWorker:
    """A host's ends of its connection to a warm worker.

    Attributes:
        errors: what the worker prints.
        life: the worker ends when this is closed, which happens at the latest when the host ends.
    """

    connection: socket.socket
    errors: IO[bytes]
    life: IO[bytes]


@dataclass(frozen=True)
class JoinedHost:
    """A warm worker's ends of its connection to a host.

    Attributes:
        errors: the file descriptor to print to.
        life: the file descriptor of a pipe that closes when the host ends.
    """

    connection: socket.socket
    errors: int
    life: int


def stay_seconds() -> float:
    """Return for how long a worker stays: what the user set, or DEFAULT_STAY_SECONDS."""
    try:
        return min(max(0.0, float(os.environ[STAY_VARIABLE])), MAX_STAY_SECONDS) if CAN_STAY else 0.0
    except (KeyError, ValueError):
        return DEFAULT_STAY_SECONDS


def worker_name(host: int, version: str) -> str:
    """Return the name under which a worker of this version waits for the host with this process id.

    Empty if no worker can stay.
    """
    try:
        # Sandboxes may use the same ids for different processes.
        return f"neural-style-{PID_NAMESPACE.stat().st_ino}-{host}-{version}" if CAN_STAY else ""
    except OSError:
        return ""


def join_worker(name: str) -> JoinedWorker | None:
    """Connect to the idle worker that waits under ``name``. None if there is none."""
    if not CAN_STAY:
        return None
    (errors, errors_sent), (life_sent, life) = os.pipe(), os.pipe()
    worker = JoinedWorker(socket.socket(socket.AF_UNIX), os.fdopen(errors, "rb"), os.fdopen(life, "wb"))
    try:
        worker.connection.settimeout(GREETING_SECONDS)
        worker.connection.connect(f"\0{name}")
        if is_trusted(worker.connection) and worker.connection.recv(1) == GREETING:
            socket.send_fds(worker.connection, [GREETING], [errors_sent, life_sent])
            worker.connection.settimeout(None)
            return worker
    except OSError:
        pass
    finally:
        os.close(errors_sent)
        os.close(life_sent)
    worker.connection.close()
    worker.errors.close()
    worker.life.close()
    return None


def wait_for_host(name: str, host: int, release_memory: Callable[[], None]) -> JoinedHost | None:
    """Wait under ``name`` for a host to join, and call ``release_memory`` after RELEASE_SECONDS.

    None if the process ``host`` ends, if no host joins for ``stay_seconds``, or if another worker has the name.
    """
    with suppress(OSError), socket.socket(socket.AF_UNIX) as listener, os.fdopen(os.pidfd_open(host)) as host_ended:
        listener.bind(f"\0{name}")
        listener.listen(1)
        now = time.monotonic()
        release, last = now + RELEASE_SECONDS, now + stay_seconds()
        while now < last:
            events = [listener.fileno(), host_ended.fileno()]
            ready, _, _ = select.select(events, [], [], max(0, min(release, last) - now))
            if host_ended.fileno() in ready:
                return None
            if ready and (joined := _accept(listener)):
                return joined
            now = time.monotonic()
            if now >= release:
                release_memory()
                release = last
    return None


def _accept(listener: socket.socket) -> JoinedHost | None:
    connection, _ = listener.accept()
    try:
        connection.settimeout(GREETING_SECONDS)
        if is_trusted(connection):
            connection.send(GREETING)
            _, (errors, life), _, _ = socket.recv_fds(connection, 1, 2)
            connection.settimeout(None)
            return JoinedHost(connection, errors, life)
    except (OSError, ValueError):  # ValueError if it sent no descriptors
        pass
    connection.close()
    return None


def streams(connection: socket.socket) -> tuple[IO[bytes], IO[bytes]]:
    """Return a stream to read from the other end, and one to write to it."""
    # The socket's own files cannot be closed while an interpreter ends, and print a warning.
    reading, writing = os.dup(connection.fileno()), os.dup(connection.fileno())
    return os.fdopen(reading, "rb"), os.fdopen(writing, "wb")


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return the ids of the process and the user that made the connection at the other end."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    process, user, _ = struct.unpack("3i", credentials)
    return process, user


def is_trusted(connection: socket.socket) -> bool:
    """Return whether the same user is at the other end, outside any sandbox.

    Messages are pickled, and reading another user's could run that user's code. Raises OSError if this cannot be
    determined.
    """
    process, user = peer(connection)
    return user == os.getuid() and Path(f"/proc/{process}/ns/pid").stat().st_ino == PID_NAMESPACE.stat().st_ino
