"""Paint the pictures of a plan, several at a time, and keep track of the results. Standard library only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from plugin.engine.batch.batch_plan import BatchTask
from plugin.engine.progress import StoppedError, Stopper

JOBS_RANGE = (1, 64)


@dataclass(frozen=True)
class BatchFailure:
    """A picture that was not painted, and a sentence that says why."""

    task: BatchTask
    reason: str


@dataclass(eq=False)
class Batch:
    """The paintings to make, and what became of them.

    Attributes:
        tasks: the paintings to make.
        painted: those that are written.
        failures: those that are not, and why.
        seconds: how long the work took, or has taken so far.
    """

    tasks: Sequence[BatchTask]
    painted: list[BatchTask] = field(default_factory=list)
    failures: list[BatchFailure] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """How many pictures were painted or failed."""
        return len(self.painted) + len(self.failures)

    def run(
        self,
        paint: Callable[[BatchTask], None],
        after_each: Callable[[], None] = lambda: None,
        jobs: int = 1,
        stopper: Stopper | None = None,
    ) -> None:
        """Read, paint and write every picture with ``paint``, ``jobs`` at a time.

        While one picture is read or written, another is painted. With one job everything runs in this thread. A picture
        whose ``paint`` raises any error but StoppedError becomes a failure, and the others go on. ``stopper`` ends the
        work without an error; what has been painted stays.
        """
        stopper, lock, start = stopper or Stopper(), threading.Lock(), time.monotonic()
        waiting = iter(self.tasks)

        def work() -> None:
            for task in _shared(waiting, lock):
                if stopper.stopped:
                    return
                try:
                    reason = _reason_of_failure(paint, task)
                except StoppedError:
                    stopper.stop()
                    return
                with lock:
                    if reason is None:
                        self.painted.append(task)
                    else:
                        self.failures.append(BatchFailure(task, reason))
                    self.seconds = time.monotonic() - start
                    after_each()

        if jobs == 1:
            work()
        else:
            with ThreadPoolExecutor(jobs) as threads:
                for worker in [threads.submit(work) for _number in range(jobs)]:
                    worker.result()


def _shared(tasks: Iterator[BatchTask], lock: threading.Lock) -> Iterator[BatchTask]:
    """Yield tasks that no other thread gets."""
    while True:
        with lock:
            task = next(tasks, None)
        if task is None:
            return
        yield task


def _reason_of_failure(paint: Callable[[BatchTask], None], task: BatchTask) -> str | None:
    """Paint a picture. Return None, or a sentence that says why that failed."""
    try:
        task.target.parent.mkdir(parents=True, exist_ok=True)
        paint(task)
    except StoppedError:
        raise
    except StyleError as error:
        return str(error)
    except OSError as error:
        return _("{path} cannot be read or written ({strerror}).").format(
            path=error.filename or task.target, strerror=error.strerror
        )
    except Exception as error:  # one picture must not end the others' work, whatever it is that it raises
        text = " ".join(str(error).split())
        return _("Neural Style failed unexpectedly ({error}).").format(error=f"{type(error).__name__}: {text}")
    return None
