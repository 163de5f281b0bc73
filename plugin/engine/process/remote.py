"""The engine in a worker process, called over pipes. Standard library only.

A host uses it if its own Python cannot load the engine, or if a warm worker (see warm_worker.py) is waiting for it.
"""

from __future__ import annotations

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
from typing import IO, TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from plugin.engine.api import Engine
from plugin.engine.messages import (
    Estimate,
    FastRequest,
    InstantRequest,
    LayerView,
    OpenedLayer,
    PaintedPicture,
    PreviewRequest,
    PreviewResult,
    RawPicture,
    Request,
)
from plugin.engine.process import pipe, warm_worker
from plugin.engine.progress import ProgressCallback, StoppedError, Stopper, ignore

if TYPE_CHECKING:
    from nst_core.base.recipes import Recipe
    from plugin.engine.imaging.blend_settings import BlendSettings

P = ParamSpec("P")
R = TypeVar("R")
# How many of the lines that the process printed last are kept.
KEPT_LINES = 40
ENDING_SECONDS = 1
# Variables that a host sets for its own libraries and its own Python.
HOST_VARIABLES = ("PYTHON", "GI_", "GTK_", "GDK_PIXBUF_", "DYLD_", "LD_LIBRARY_PATH", "XDG_DATA_DIRS")


class EngineEndedError(StyleError):
    """The process ended before it answered.

    Attributes:
        printed: what it printed last.
        exit_code: its exit code, below 0 for a signal; None if that is unknown.
    """

    printed = ""
    exit_code: int | None = None


class RemoteEngine:
    """An Engine (see api.py) in another process.

    The methods may be called from any thread, and raise what the engine's methods raise in the other process. An error
    other than StyleError and progress.StoppedError becomes an error of the same name, with the other process's
    traceback as its cause. The methods raise EngineEndedError if the process has ended. Progress is reported in a
    thread of this class.

    Args:
        requests: the stream on which the process receives calls.
        answers: the stream on which it answers.
        errors: what it and its libraries print.
        end: ends it, and returns its exit code, or None if that is unknown.
        pid: its process id.
    """

    def __init__(
        self, requests: IO[bytes], answers: IO[bytes], errors: IO[bytes], end: Callable[[], int | None], pid: int
    ) -> None:
        self._requests, self._answers, self._end_process, self.pid = requests, answers, end, pid
        self._numbers = itertools.count(1)
        self._calls: dict[int, _PendingCall] = {}
        self._sending, self._changing = threading.Lock(), threading.Lock()
        self._left = False
        self._ended: EngineEndedError | None = None
        self._printed: deque[str] = deque(maxlen=KEPT_LINES)
        self._error_reader = threading.Thread(target=self._read_errors, args=[errors], daemon=True)
        self._error_reader.start()
        threading.Thread(target=self._read_answers, daemon=True).start()

    def close(self) -> int | None:
        """End the process, whatever it is doing. Return its exit code, if that is known."""
        return self._end_process()

    def leave(self) -> None:
        """Tell the process that there will be no more calls, so it may stay for others."""
        self._left = True
        with suppress(EngineEndedError, TimeoutError):
            self._begin(pipe.LEAVE).answer.result(ENDING_SECONDS)

    def paint(
        self,
        pictures: Sequence[RawPicture],
        request: Request,
        progress: ProgressCallback = ignore,
        *,
        layers: Sequence[int] = (),
    ) -> list[PaintedPicture]:
        """Paint pictures, as Engine.paint describes."""
        return self._call(Engine.paint, pictures, request, progress, layers=layers)

    def require_torch(self) -> None:
        """Raise StyleError, saying how to get it, if PyTorch is not installed."""
        self._call(Engine.require_torch)

    def check_pictures(self, pixels: int) -> None:
        """Raise StyleError, saying how large a picture would fit, if that many pixels do not fit into memory."""
        self._call(Engine.check_pictures, pixels)

    def reads_picture(self, path: str) -> bool:
        """Return whether the engine can read this kind of picture file itself."""
        return self._call(Engine.reads_picture, path)

    def check_painting(self, shapes: Sequence[tuple[int, int]], request: FastRequest | InstantRequest) -> None:
        """Raise StyleError if pictures take too much memory, as Engine.check_painting describes."""
        self._call(Engine.check_painting, shapes, request)

    def open_layer(self, picture: RawPicture, grey: bool) -> OpenedLayer:
        """Keep a copy of a layer for previews, as Engine.open_layer describes."""
        return self._call(Engine.open_layer, picture, grey)

    def select(self, layer: int, selection: bytes | None) -> None:
        """Change the selection of an opened layer, as Engine.select describes."""
        self._call(Engine.select, layer, selection)

    def close_layer(self, layer: int) -> None:
        """Forget an opened layer and all its previews."""
        self._call(Engine.close_layer, layer)

    def layer_photo(self, layer: int, view: LayerView | None = None) -> bytes:
        """Return the unpainted opened layer to be shown, as Engine.layer_photo describes."""
        return self._call(Engine.layer_photo, layer, view)

    def preview(self, layer: int, request: PreviewRequest, sketch: bool, stopper: Stopper) -> PreviewResult:
        """Paint a preview of an opened layer, as Engine.preview describes."""
        return self._call(Engine.preview, layer, request, sketch, stopper)

    def mix_preview(self, layer: int, preview: int, view: LayerView, blend: BlendSettings) -> bytes:
        """Return the photo mixed with a preview, as Engine.mix_preview describes."""
        return self._call(Engine.mix_preview, layer, preview, view, blend)

    def forget_preview(self, layer: int, preview: int) -> None:
        """Forget a preview, unless its layer is closed already."""
        self._call(Engine.forget_preview, layer, preview)

    def estimate_time(self, shapes: Sequence[tuple[int, int]], recipe: Recipe, stopper: Stopper) -> Estimate:
        """Estimate how long renders take, as Engine.estimate_time describes."""
        return self._call(Engine.estimate_time, shapes, recipe, stopper)

    def _call(self, method: Callable[Concatenate[Engine, P], R], *arguments: P.args, **keywords: P.kwargs) -> R:
        """Call a method of the engine in the other process, and wait for its result."""
        result: R = self._begin(method.__name__, *arguments, **keywords).answer.result()
        return result

    def _begin(self, method: str, *arguments: Any, **keywords: Any) -> _PendingCall:
        number, call = next(self._numbers), _PendingCall()
        sent = [call.sendable(argument) for argument in arguments]
        if call.stopper:
            # A short call could finish before the request to stop reached it.
            call.stopper.check()
        with self._changing:
            if self._ended:
                raise self._ended
            self._calls[number] = call
        self._send(number, method, sent, keywords)
        if call.stopper:
            try:
                call.stopper.on_stop(lambda: self._send(number, pipe.STOP))
            except StoppedError:  # since the check above
                self._send(number, pipe.STOP)
        return call

    def _send(self, number: int, method: str, arguments: Any = (), keywords: Mapping[str, Any] = {}) -> None:
        # A process that has ended, or was closed, does not answer either: see _give_up.
        with suppress(OSError, ValueError), self._sending:
            pipe.send(self._requests, (number, method, arguments, keywords))

    def _read_answers(self) -> None:
        try:
            while True:
                number, kind, value = pipe.receive(self._answers)
                if kind == "progress":
                    self._send(number, pipe.REPLY, [self._calls[number].progress(value)])
                else:
                    self._calls.pop(number).end(kind, value)
        except Exception:  # whatever went wrong, no more answers will come
            self._give_up()

    def _give_up(self) -> None:
        code = None if self._left else self._end_process()
        self._error_reader.join(1)
        with suppress(OSError), self._sending:  # fails if something was not sent, which no longer matters
            self._requests.close()
        last = next((line.strip() for line in reversed(self._printed) if line.strip()), "")
        exit_code = None if code is None else f"exit code {code}"
        reason = ": ".join(filter(None, (exit_code, last))) or _("it did not say why")
        ended = EngineEndedError(
            _(
                "The process in which Neural Style paints ended unexpectedly ({reason}); try it once more, and then "
                "run `python3 install.py` again."
            ).format(reason=reason)
        )
        ended.exit_code = code
        ended.printed = "".join(self._printed)
        with self._changing:
            self._ended = ended
            calls, self._calls = self._calls, {}
        for call in calls.values():
            call.answer.set_exception(ended)

    def _read_errors(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._printed.append(line.decode(errors="replace"))
            print(self._printed[-1], end="", file=sys.stderr)


class _PendingCall:
    """A call that has no answer yet."""

    def __init__(self) -> None:
        self.answer: Future[Any] = Future()
        self.stopper: Stopper | None = None
        self.progress: ProgressCallback = ignore

    def sendable(self, argument: Any) -> Any:
        """Return what to send for an argument. A stopper or a callback is kept here, and a stand-in is sent."""
        if isinstance(argument, Stopper):
            self.stopper = argument
            return pipe.StandIn.STOPPER
        if callable(argument):
            self.progress = argument
            return pipe.StandIn.PROGRESS
        return argument

    def end(self, kind: str, value: Any) -> None:
        """Pass on the answer."""
        if kind == "done":
            self.answer.set_result(value)
        elif kind == "refused":
            self.answer.set_exception(StyleError(value))
        elif kind == "stopped":
            self.answer.set_exception(StoppedError())
        else:
            name, text, trace = value
            error = type(name, (Exception,), {})(text)
            error.__cause__ = _RemoteError(f"\n{trace}")
            self.answer.set_exception(error)


class _RemoteError(Exception):
    """The traceback of an error in the other process."""


def start_worker(command: Sequence[str | Path]) -> RemoteEngine:
    """Start a new worker, which ends with this process unless it is left.

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

    return RemoteEngine(requests, process.stdout, process.stderr, end, process.pid)


def joined_engine(worker: warm_worker.JoinedWorker) -> RemoteEngine:
    """Return the engine of a warm worker that was joined, which ends with this process unless it is left."""

    def end() -> None:
        worker.life.close()
        with suppress(OSError):
            worker.connection.shutdown(socket.SHUT_RDWR)

    process, _user = warm_worker.peer(worker.connection)
    answers, requests = warm_worker.streams(worker.connection)
    return RemoteEngine(requests, answers, worker.errors, end, process)


def start_warm_worker(command: Sequence[str | Path]) -> None:
    """Start a worker that waits for a process other than this one."""
    process = _process(command, subprocess.DEVNULL)
    assert process.stdin
    with suppress(OSError), process.stdin:
        pipe.send(process.stdin, (0, pipe.LEAVE, (), {}))


def _process(command: Sequence[str | Path], output: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env=worker_environment(os.environ),
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # only on Windows
    )


def worker_command(python: Path, catalogues: Path, host: int = 0, name: str = "") -> list[str | Path]:
    """Return the command that starts a worker.

    Args:
        python: the Python of an environment with the engine.
        catalogues: the folder of the translations.
        host: the id of the process with which a warm worker ends at the latest.
        name: a warm worker's name; empty if the worker must not stay.
    """
    return [python, "-I", "-m", "plugin.engine.process.worker", catalogues, *((str(host), name) if name else ())]


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a host's environment variables without those that lead the worker's Python to the host's libraries."""
    kept = {name: value for name, value in environment.items() if not name.startswith(HOST_VARIABLES)}
    if sys.platform == "win32":  # where PATH is searched for libraries too
        host = Path(sys.prefix)
        folders = environment.get("PATH", "").split(os.pathsep)
        kept["PATH"] = os.pathsep.join(
            folder for folder in folders if host not in (Path(folder), *Path(folder).parents)
        )
    return kept
