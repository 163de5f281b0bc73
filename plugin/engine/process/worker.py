"""The engine in a process of its own: does what remote.py asks for on standard input, and answers on standard output.

    PYTHON -I -m plugin.engine.process.worker [CATALOGUES [HOST NAME]]

CATALOGUES is the folder of the host's translations. The process ends when its standard input does, whatever it does
then; but if it was left before, and has nothing to do, it stays under NAME for somebody else to join it, at the longest
until the process HOST ends.
"""

from __future__ import annotations

import gc
import gettext
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, Any

from nst_core.base.errors import StyleError
from nst_core.base.language import DOMAIN
from plugin.engine.process import pipe
from plugin.engine.process import warm_worker as staying
from plugin.engine.process.lifetime import end_with_parent, end_with_pipe
from plugin.engine.progress import Progress, Stopped, Stopper

# Between two threads; the system's 5 ms would be for each of many parts in which a picture comes in.
SWITCH_SECONDS = 0.0005


def main() -> None:
    """Answer the calls of the process that started this one, and of those that join."""
    catalogues, place = sys.argv[1:2], sys.argv[2:]
    requests, answers = _take_streams()
    for folder in catalogues:
        gettext.bindtextdomain(DOMAIN, folder)
    gc.disable()  # until all is imported, none of which is garbage
    # What is imported must not keep what comes in waiting.
    sys.setswitchinterval(SWITCH_SECONDS)
    threading.Thread(target=_load, daemon=True).start()
    try:
        fit = _serve(requests, answers, end_with_parent, lambda: end_with_parent(False))
        while fit and place and (host := _next_host(*place)):
            fit = _serve_joined(host)
    except Exception:  # in a message, say: nothing may run on without its host
        traceback.print_exc()
        os._exit(1)
    os._exit(0)  # at once, though threads are still computing


def _serve(requests: IO[bytes], answers: IO[bytes], bind: Callable[[], None], loose: Callable[[], None]) -> bool:
    """Answer calls until there are no more. Returns whether we were left, and are fit for others.

    From the first call on the process ends at once with its host, even where something else holds the pipe open: that
    is what ``bind`` sees to, and ``loose`` ends.
    """
    worker, bound = Worker(answers), False
    with suppress(EOFError, OSError):
        while (request := pipe.receive(requests))[1] != pipe.LEAVE:
            if not bound:
                bind()
                bound = True
            worker.take(*request)
        loose()
        worker.answer(request[0], "done", None)
        # PyTorch takes too much memory to wait for somebody who may never come.
        if not worker.busy and "torch" not in sys.modules:
            requests.close()
            answers.close()
            _load().left()
            return True
    return False


def _serve_joined(host: staying.Host) -> bool:
    _print_to(host.errors)
    with host.connection as connection:
        requests, answers = staying.streams(connection)
    return _serve(requests, answers, lambda: end_with_pipe(host.life), lambda: os.close(host.life))


def _next_host(host: str, name: str) -> staying.Host | None:
    _print_to(os.open(os.devnull, os.O_WRONLY))
    return staying.next_host(name, int(host), lambda: _load().rest())


class _Running:
    """A call that is being done: how to stop it, and what its host answered to its progress."""

    def __init__(self) -> None:
        self.stopper, self.told = Stopper(), SimpleQueue[bool]()


class Worker:
    """Does what it is asked for, each call in a thread of its own, and answers on ``answers``."""

    def __init__(self, answers: IO[bytes]) -> None:
        self._answers, self._lock = answers, threading.Lock()
        self._running: dict[int, _Running] = {}

    @property
    def busy(self) -> bool:
        """Whether calls are being done."""
        return bool(self._running)

    def take(self, number: int, function: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> None:
        """Begin a call; or, for one that is being done, "stop" it or hear what its host "told"."""
        running = self._running.get(number)
        if function == "stop":
            if running:
                running.stopper.stop()
        elif function == "told":
            if running:
                running.told.put(*arguments)
        else:
            self._running[number] = running = _Running()
            work = (number, running, function, arguments, keywords)
            threading.Thread(target=self._do, args=work, daemon=True).start()

    def _do(
        self, number: int, running: _Running, function: str, arguments: Sequence[Any], keywords: Mapping[str, Any]
    ) -> None:
        def tell(progress: Progress) -> bool:
            self.answer(number, "progress", progress)
            return running.told.get()

        own = {pipe.Own.PROGRESS: tell, pipe.Own.STOPPER: running.stopper}
        try:
            arguments = [own[value] if isinstance(value, pipe.Own) else value for value in arguments]
            done = getattr(_load(), function)(*arguments, **keywords)
            answer: tuple[str, Any] = "done", done
        except StyleError as error:
            answer = "refused", str(error)
        except Stopped:
            answer = "stopped", None
        except Exception as error:
            answer = "failed", (type(error).__name__, str(error), traceback.format_exc())
        del self._running[number]
        self.answer(number, *answer)

    def answer(self, number: int, kind: str, value: object) -> None:
        """Send an answer of this kind to a call."""
        try:
            with self._lock:
                pipe.send(self._answers, (number, kind, value))
        except OSError:  # the host is gone
            os._exit(0)


def _take_streams() -> tuple[IO[bytes], IO[bytes]]:
    """Standard input and output for ourselves: what libraries print goes to standard error, and they read nothing."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def _print_to(file: int) -> None:
    """Have all that is printed go to this file descriptor, which is closed."""
    for printed in (1, 2):
        os.dup2(file, printed)
    os.close(file)


def _load() -> Any:
    """The service. It takes a moment to import, in which calls can come in already."""
    from plugin.engine import service

    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    return service


if __name__ == "__main__":
    main()
