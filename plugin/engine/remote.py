"""The functions of service.py, done by a process of its own. Standard library only: for a host whose Python cannot load
the engine.
"""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from nst_core.errors import StyleError
from nst_core.language import _
from plugin.engine import pipe
from plugin.engine.progress import ProgressCallback, Stopped, Stopper

# Lines of what the process printed last.
KEPT = 40
# What a host sets for its own libraries and its own Python.
ASTRAY = ("PYTHON", "GI_", "GTK_", "GDK_PIXBUF_", "DYLD_", "LD_LIBRARY_PATH", "XDG_DATA_DIRS")


class EngineEnded(StyleError):
    """The process ended before it had answered; ``said`` is what it printed last."""

    said = ""


class Remote:
    """A process with the engine: each function of service.py is a method. It ends with this one, or when it is closed.

    The methods may be called from any thread, and raise what the functions do: of any other error than StyleError and
    progress.Stopped one of the same name, with the other process's traceback as its cause. They raise EngineEnded if
    the process has ended. Progress is told in a thread of this class.

    ``command`` starts the process (see ``worker_command``). Raises OSError if there is no such program.
    """

    def __init__(self, command: Sequence[str | Path]) -> None:
        self._process = subprocess.Popen(
            command,
            env=clean_environment(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # of Windows
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._requests, self._answers = self._process.stdin, self._process.stdout
        self._numbers = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._sending, self._changing = threading.Lock(), threading.Lock()
        self._end: EngineEnded | None = None
        self._said: deque[str] = deque(maxlen=KEPT)
        self._hearing = threading.Thread(target=self._hear, args=[self._process.stderr], daemon=True)
        self._hearing.start()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def close(self) -> None:
        """End the process, whatever it is doing."""
        with suppress(OSError):
            self._requests.close()
        self._process.wait()

    def __getattr__(self, function: str) -> Callable[..., Any]:
        if function.startswith("_"):
            raise AttributeError(function)
        return functools.partial(self._do, function)

    def _do(self, function: str, *arguments: Any, **keywords: Any) -> Any:
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
        return call.answer.result()

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
        self._process.kill()
        code = self._process.wait()
        self._hearing.join(1)
        last = next((line.strip() for line in reversed(self._said) if line.strip()), "")
        reason = ": ".join(filter(None, (f"exit code {code}", last)))
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


def worker_command(python: Path, catalogues: Path) -> list[str | Path]:
    """What starts the process: the Python of an environment with the engine, and the folder of the translations."""
    return [python, "-I", "-m", "plugin.engine.worker", catalogues]


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
