"""The functions of service.py, done by a process of its own. Standard library only: for a host whose Python cannot load
the engine, or that finds one that stayed (see staying.py).
"""

from __future__ import annotations

import functools
import itertools
import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, TimeoutError
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from plugin.engine.process import pipe
from plugin.engine.process import warm_worker as staying
from plugin.engine.progress import ProgressCallback, Stopped, Stopper

# Lines of what the process printed last.
KEPT = 40
ENDING_SECONDS = 1
# What a host sets for its own libraries and its own Python.
ASTRAY = ("PYTHON", "GI_", "GTK_", "GDK_PIXBUF_", "DYLD_", "LD_LIBRARY_PATH", "XDG_DATA_DIRS")


class EngineEnded(StyleError):
    """The process ended before it had answered; ``said`` is what it printed last."""

    said = ""


class Remote:
    """A process with the engine: each function of service.py is a method.

    The methods may be called from any thread, and raise what the functions do: of any other error than StyleError and
    progress.Stopped one of the same name, with the other process's traceback as its cause. They raise EngineEnded if
    the process has ended. Progress is told in a thread of this class.

    Args:
        requests: where the process hears.
        answers: where it is heard.
        errors: what it and its libraries print.
        end: ends it, and returns its exit code, or None if that is not known.
        pid: of the process.
    """

    def __init__(
        self, requests: IO[bytes], answers: IO[bytes], errors: IO[bytes], end: Callable[[], int | None], pid: int
    ) -> None:
        self._requests, self._answers, self._end_process, self.pid = requests, answers, end, pid
        self._numbers = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._sending, self._changing = threading.Lock(), threading.Lock()
        self._left = False
        self._end: EngineEnded | None = None
        self._said: deque[str] = deque(maxlen=KEPT)
        self._hearing = threading.Thread(target=self._hear, args=[errors], daemon=True)
        self._hearing.start()
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> int | None:
        """End the process, whatever it is doing. Returns its exit code, if that is known."""
        return self._end_process()

    def leave(self) -> None:
        """Tell the process that there will be no more calls, so that it may stay for others."""
        self._left = True
        with suppress(EngineEnded, TimeoutError):
            self._begin(pipe.LEAVE).answer.result(ENDING_SECONDS)

    def __getattr__(self, function: str) -> Callable[..., Any]:
        if function.startswith("_"):
            raise AttributeError(function)
        return functools.partial(self._do, function)

    def _do(self, function: str, *arguments: Any, **keywords: Any) -> Any:
        return self._begin(function, *arguments, **keywords).answer.result()

    def _begin(self, function: str, *arguments: Any, **keywords: Any) -> _Call:
        number, call = next(self._numbers), _Call()
        sent = [call.own(argument) for argument in arguments]
        if call.stopper:
            # A short call could be done before it heard that it is to stop.
            call.stopper.check()
        with self._changing:
            if self._end:
                raise self._end
            self._calls[number] = call
        self._send(number, function, sent, keywords)
        if call.stopper:
            try:
                call.stopper.ends(lambda: self._send(number, "stop"))
            except Stopped:  # meanwhile
                self._send(number, "stop")
        return call

    def _send(self, number: int, function: str, arguments: Any = (), keywords: Mapping[str, Any] = {}) -> None:
        # A process that has ended, or was closed, does not answer either: see _give_up.
        with suppress(OSError, ValueError), self._sending:
            pipe.send(self._requests, (number, function, arguments, keywords))

    def _listen(self) -> None:
        try:
            while True:
                number, kind, value = pipe.receive(self._answers)
                if kind == "progress":
                    self._send(number, "told", [self._calls[number].progress(value)])
                else:
                    self._calls.pop(number).end(kind, value)
        except Exception:  # whatever came instead of an answer, there will be no more
            self._give_up()

    def _give_up(self) -> None:
        code = None if self._left else self._end_process()
        self._hearing.join(1)
        with suppress(OSError), self._sending:  # what was not sent, and need not be
            self._requests.close()
        last = next((line.strip() for line in reversed(self._said) if line.strip()), "")
        known = None if code is None else f"exit code {code}"
        reason = ": ".join(filter(None, (known, last))) or _("it did not say why")
        ended = EngineEnded(
            _(
                "The process in which Neural Style paints ended unexpectedly ({reason}); try it once more, and then "
                "run `python3 install.py` again."
            ).format(reason=reason)
        )
        ended.said = "".join(self._said)
        with self._changing:
            self._end = ended
            calls, self._calls = self._calls, {}
        for call in calls.values():
            call.answer.set_exception(ended)

    def _hear(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._said.append(line.decode(errors="replace"))
            print(self._said[-1], end="", file=sys.stderr)


class _Call:
    """A call that was not answered yet."""

    def __init__(self) -> None:
        self.answer: Future[Any] = Future()
        self.stopper: Stopper | None = None
        self.progress: ProgressCallback = lambda progress: True

    def own(self, argument: Any) -> Any:
        """What to send for an argument, which stays here if it cannot be sent."""
        if isinstance(argument, Stopper):
            self.stopper = argument
            return pipe.Own.STOPPER
        if callable(argument):
            self.progress = argument
            return pipe.Own.PROGRESS
        return argument

    def end(self, kind: str, value: Any) -> None:
        if kind == "done":
            self.answer.set_result(value)
        elif kind == "refused":
            self.answer.set_exception(StyleError(value))
        elif kind == "stopped":
            self.answer.set_exception(Stopped())
        else:
            name, text, trace = value
            error = type(name, (Exception,), {})(text)
            error.__cause__ = _There(f"\n{trace}")
            self.answer.set_exception(error)


class _There(Exception):
    """The traceback of an error in the other process."""


def start(command: Sequence[str | Path]) -> Remote:
    """The engine in a new process, which ends with this one unless it is left.

    ``command`` starts it (see ``worker_command``). Raises OSError if there is no such program.
    """
    process = _process(command, subprocess.PIPE)
    assert process.stdin and process.stdout and process.stderr
    requests = process.stdin

    def end() -> int:
        with suppress(OSError):
            requests.close()
        try:
            return process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    return Remote(requests, process.stdout, process.stderr, end, process.pid)


def joined(engine: staying.Engine) -> Remote:
    """The engine that stayed (see staying.join), which ends with this process unless it is left."""

    def end() -> None:
        engine.life.close()
        with suppress(OSError):
            engine.connection.shutdown(socket.SHUT_RDWR)

    process, _user = staying.other_end(engine.connection)
    answers, requests = staying.streams(engine.connection)
    return Remote(requests, answers, engine.errors, end, process)


def leave_one(command: Sequence[str | Path]) -> None:
    """Start an engine that stays, for others than this process."""
    process = _process(command, subprocess.DEVNULL)
    assert process.stdin
    with suppress(OSError), process.stdin:
        pipe.send(process.stdin, (0, pipe.LEAVE, (), {}))


def _process(command: Sequence[str | Path], output: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env=clean_environment(os.environ),
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # of Windows
    )


def worker_command(python: Path, catalogues: Path, host: int = 0, name: str = "") -> list[str | Path]:
    """What starts the process: the Python of an environment with the engine, and the folder of the translations; and if
    it may stay, the process id of the host with which it ends at the latest, and its name.
    """
    return [python, "-I", "-m", "plugin.engine.process.worker", catalogues, *((str(host), name) if name else ())]


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for the process: without those that lead its Python to the libraries of the host."""
    kept = {name: value for name, value in environment.items() if not name.startswith(ASTRAY)}
    if sys.platform == "win32":  # where PATH is searched for libraries too
        host = Path(sys.prefix)
        folders = environment.get("PATH", "").split(os.pathsep)
        kept["PATH"] = os.pathsep.join(
            folder for folder in folders if host not in (Path(folder), *Path(folder).parents)
        )
    return kept
