"""The engine in a process of its own: takes remote.py's calls on standard input, and answers on standard output.

    PYTHON -I -m plugin.engine.process.worker [CATALOGUES [HOST NAME]]

CATALOGUES is the folder of the host's translations. The process ends when its standard input does, whatever it is doing
then. But if its host leaves it, and it has nothing to do, it becomes a warm worker (see warm_worker.py): it waits under
NAME for another process to join it, until the process with the id HOST ends at the latest.
"""

from __future__ import annotations

import gc
import gettext
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any

from nst_core.base.errors import StyleError
from nst_core.base.language import DOMAIN
from plugin.engine.machine.memory import keep_freed_memory
from plugin.engine.process import pipe, warm_worker
from plugin.engine.process.lifetime import end_with_parent, end_with_pipe
from plugin.engine.progress import Progress, StoppedError, Stopper

if TYPE_CHECKING:
    from plugin.engine.service import LocalEngine

# How long a thread may keep the others waiting. A picture arrives in many parts, and Python's 5 ms would delay each.
SWITCH_SECONDS = 0.0005


def main() -> None:
    """Answer the calls of the process that started this one, and of those that join it."""
    catalogues, host_and_name = sys.argv[1:2], sys.argv[2:]
    requests, answers = _take_streams()
    for folder in catalogues:
        gettext.bindtextdomain(DOMAIN, folder)
    keep_freed_memory()  # before there are threads, which would get heaps of their own that are never trimmed
    gc.disable()  # until everything is imported: none of it is garbage
    # Importing must not delay the calls that arrive.
    sys.setswitchinterval(SWITCH_SECONDS)
    worker = Worker()
    try:
        reusable = worker.serve(requests, answers, end_with_parent, lambda: end_with_parent(False))
        while reusable and host_and_name and (host := worker.next_host(*host_and_name)):
            reusable = worker.serve_joined(host)
    except Exception:  # such as an unreadable message: nothing may go on without its host
        traceback.print_exc()
        os._exit(1)
    os._exit(0)  # at once, even if threads are still computing


class Worker:
    """This process's engine, and the hosts that it serves one after another."""

    def __init__(self) -> None:
        self._engine: Future[LocalEngine] = Future()
        # Importing the engine takes a moment, in which calls can already arrive.
        threading.Thread(target=self._load, daemon=True).start()

    def serve(
        self, requests: IO[bytes], answers: IO[bytes], bind: Callable[[], None], release: Callable[[], None]
    ) -> bool:
        """Answer a host's calls until there are no more. Return whether it left this process, fit for other hosts.

        From the first call on, the process ends at once with its host, even if another process holds the pipe open:
        ``bind`` sees to that, and ``release`` ends it.
        """
        calls, bound = HostCalls(self._engine, answers), False
        with suppress(EOFError, OSError):
            while (request := pipe.receive(requests))[1] != pipe.LEAVE:
                if not bound:
                    bind()
                    bound = True
                calls.take(*request)
            release()
            calls.answer(request[0], "done", None)
            # PyTorch takes too much memory to wait for a host that may never come.
            if not calls.running and "torch" not in sys.modules:
                requests.close()
                answers.close()
                self._engine.result().forget_host()
                return True
        return False

    def serve_joined(self, host: warm_worker.JoinedHost) -> bool:
        """Serve a host that joined, as ``serve`` does."""
        _print_to(host.errors)
        with host.connection as connection:
            requests, answers = warm_worker.streams(connection)
        return self.serve(requests, answers, lambda: end_with_pipe(host.life), lambda: os.close(host.life))

    def next_host(self, host: str, name: str) -> warm_worker.JoinedHost | None:
        """Wait under ``name`` for the next host. None if none comes, or the process ``host`` ends."""
        _print_to(os.open(os.devnull, os.O_WRONLY))
        return warm_worker.wait_for_host(name, int(host), lambda: self._engine.result().release_memory())

    def _load(self) -> None:
        try:
            from plugin.engine.service import LocalEngine

            gc.freeze()
            gc.enable()
            self._engine.set_result(LocalEngine())
        except BaseException as error:  # each call raises it
            self._engine.set_exception(error)


class _RunningCall:
    """A running call: how to stop it, and what its host answered to its progress."""

    def __init__(self) -> None:
        self.stopper, self.replies = Stopper(), SimpleQueue[bool]()


class HostCalls:
    """The running calls of a host, each in a thread of its own, answered on ``answers``."""

    def __init__(self, engine: Future[LocalEngine], answers: IO[bytes]) -> None:
        self._engine, self._answers, self._lock = engine, answers, threading.Lock()
        self.running: dict[int, _RunningCall] = {}

    def take(self, number: int, method: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> None:
        """Begin a call of an engine's method; or pass on a message to the running call of this number.

        The message is pipe.STOP, or pipe.REPLY with the host's answer to its progress.
        """
        call = self.running.get(number)
        if method == pipe.STOP:
            if call:
                call.stopper.stop()
        elif method == pipe.REPLY:
            if call:
                call.replies.put(*arguments)
        else:
            self.running[number] = call = _RunningCall()
            work = (number, call, method, arguments, keywords)
            threading.Thread(target=self._run, args=work, daemon=True).start()

    def answer(self, number: int, kind: str, value: object) -> None:
        """Send an answer of this kind to a call."""
        try:
            with self._lock:
                pipe.send(self._answers, (number, kind, value))
        except OSError:  # the host is gone
            os._exit(0)

    def _run(
        self, number: int, call: _RunningCall, method: str, arguments: Sequence[Any], keywords: Mapping[str, Any]
    ) -> None:
        def report(progress: Progress) -> bool:
            self.answer(number, "progress", progress)
            return call.replies.get()

        stand_ins = {pipe.StandIn.PROGRESS: report, pipe.StandIn.STOPPER: call.stopper}
        try:
            arguments = [stand_ins[value] if isinstance(value, pipe.StandIn) else value for value in arguments]
            result = getattr(self._engine.result(), method)(*arguments, **keywords)
            answer: tuple[str, Any] = "done", result
        except StyleError as error:
            answer = "refused", str(error)
        except StoppedError:
            answer = "stopped", None
        except Exception as error:
            answer = "failed", (type(error).__name__, str(error), traceback.format_exc())
        del self.running[number]
        self.answer(number, *answer)


def _take_streams() -> tuple[IO[bytes], IO[bytes]]:
    """Keep standard input and output for the calls: libraries then read nothing, and print to standard error."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def _print_to(file: int) -> None:
    """Send all that is printed to this file descriptor, and close it."""
    for printed in (1, 2):
        os.dup2(file, printed)
    os.close(file)


if __name__ == "__main__":
    main()
