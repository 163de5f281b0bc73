"""Show in the terminal how far long work is, and let Ctrl-C stop it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from types import FrameType
from typing import Protocol, TypeVar

from plugin.engine.progress import Stopper

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and the signal of schedulers and of a shutdown
STOPPING_SECONDS = 2.0  # seconds
T = TypeVar("T")

Interrupted = Callable[[], bool]
"""Returns whether Ctrl-C was pressed. Call it after every step, before the step is shown."""
ShowStage = Callable[[str, float], None]
"""Takes a stage before the first step, a short phrase for people, and its fraction, 0..1."""


class ShowStep(Protocol):
    """A function that shows a step."""

    def __call__(self, done: int, losses: Mapping[str, float], total: int | None = None) -> None:
        """Show a step. ``total`` is the number of steps if it may have changed, or 0 while it is unknown."""


class TrainingStep(Protocol):
    """A step of any training."""

    @property
    def step(self) -> int:
        """The number of the step, from 1."""

    @property
    def steps(self) -> int:
        """The number of steps in all, or 0 while it is unknown."""

    @property
    def losses(self) -> Mapping[str, float]:
        """The losses by name."""


@contextmanager
def only_first_process_speaks() -> Iterator[None]:
    """Silence every process that ``torchrun`` started, except the first."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or os.environ["RANK"] == "0":
        yield
        return
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


@contextmanager
def training_bar(steps: int) -> Iterator[tuple[Callable[[TrainingStep], bool], ShowStage]]:
    """Yield the two callbacks of a training: for its steps, stopped by Ctrl-C, and for the stages before the first."""
    with interruptible() as interrupted, stage_bars() as show_stage, progress_bar(steps) as show_step:

        def progress(step: TrainingStep) -> bool:
            stop = interrupted()
            show_step(step.step, step.losses, step.steps)
            return not stop

        yield progress, show_stage


@contextmanager
def progress_bar(total: int) -> Iterator[ShowStep]:
    """Yield a function that shows steps in a progress bar with losses.

    The bar appears with the first step, so an error before that prints its sentence and nothing else.
    """
    from tqdm import tqdm

    bar: tqdm | None = None

    def show(done: int, losses: Mapping[str, float], total: int | None = total) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=total or None, initial=done - 1, unit="it", dynamic_ncols=True)
        bar.total = total or None
        bar.set_postfix({name: f"{value:.4f}" for name, value in losses.items()}, refresh=False)
        bar.update(done - bar.n)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()


@contextmanager
def picture_bar(total: int, unit: str = "pictures", done: int = 0) -> Iterator[Callable[[int], None]]:
    """Yield a function that shows how many of ``total`` pictures are done, and how much time is left.

    ``done`` were there before.
    """
    from tqdm import tqdm

    with tqdm(total=total, initial=done, unit=f" {unit}", dynamic_ncols=True, smoothing=0.05) as bar:

        def show(done: int) -> None:
            bar.update(done - bar.n)

        yield show


@contextmanager
def stage_bars() -> Iterator[ShowStage]:
    """Yield a function that shows the slow stages before the first step, each in a bar of its own.

    A stage that never gets beyond 0 shows nothing.
    """
    from tqdm import tqdm

    bar: tqdm | None = None
    shown = ""

    def show(stage: str, fraction: float) -> None:
        nonlocal bar, shown
        if bar is not None and stage != shown:
            bar.close()
            bar = None
        if bar is None and fraction:
            bar, shown = tqdm(total=100, desc=stage, bar_format="{l_bar}{bar}| {elapsed}<{remaining}"), stage
        if bar is not None:
            bar.update(100 * fraction - bar.n)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()


@contextmanager
def interruptible() -> Iterator[Interrupted]:
    """Yield a function that returns whether Ctrl-C was pressed; the work can then stop and keep what it has.

    Until that function is first called there is nothing to keep, and Ctrl-C raises KeyboardInterrupt as usual. So does
    a second Ctrl-C. SIGTERM does the same, and is noted by ``interrupts_noted`` too: whoever sent it sees from the exit
    code that the work is not complete.
    """
    asked = running = False

    def ask(signum: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked or not running:
            _pass_on(before, signum, frame)
        asked = True
        if signum == signal.SIGTERM:
            with suppress(KeyboardInterrupt):
                _pass_on(before, signum, frame)

    def interrupted() -> bool:
        nonlocal running
        running = True
        return asked

    with _handled_by(ask) as before:
        yield interrupted


@contextmanager
def interrupts_noted() -> Iterator[Callable[[], int]]:
    """Let Ctrl-C and SIGTERM raise KeyboardInterrupt, and yield a function that returns the last such signal, or 0.

    A library that calls back into Python swallows the exception.
    """
    noted = 0

    def note(signum: int, frame: FrameType | None) -> None:
        nonlocal noted
        noted = signum
        raise KeyboardInterrupt

    with _handled_by(note):
        yield lambda: noted


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Hold Ctrl-C back until the block ends, for a library that would swallow it or abort; a second one passes."""
    held: list[tuple[int, FrameType | None]] = []

    def hold(signum: int, frame: FrameType | None) -> None:
        held.append((signum, frame))
        if len(held) > 1:
            _pass_on(before, signum, frame)

    with _handled_by(hold) as before:
        yield
    if held:
        _pass_on(before, *held[0])


def run_stoppable(work: Callable[[Stopper], T]) -> T:
    """Call ``work`` in another thread and return its result, so Ctrl-C takes effect while a library computes.

    The work is then stopped, and KeyboardInterrupt is raised after STOPPING_SECONDS at the latest.
    """
    stopper, results = Stopper(), Future[T]()

    def call() -> None:
        try:
            results.set_result(work(stopper))
        except BaseException as error:
            results.set_exception(error)

    try:
        threading.Thread(target=call, daemon=True).start()
        while not results.done():
            wait([results], STOPPING_SECONDS)  # with a limit, because Windows would otherwise ignore Ctrl-C
    except KeyboardInterrupt:
        stopper.stop()
        wait([results], STOPPING_SECONDS)
        raise
    return results.result()


Handler = Callable[[int, FrameType | None], object]


@contextmanager
def _handled_by(handler: Handler) -> Iterator[Mapping[int, object]]:
    """Call ``handler`` on Ctrl-C and SIGTERM, and yield the earlier handlers by signal.

    A signal that the process was started to ignore stays ignored. Only the main thread receives signals; in another one
    nothing changes.
    """
    before: dict[int, object] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
        before = {number: earlier for number, earlier in before.items() if earlier is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, handler)
    try:
        yield before
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)  # type: ignore[arg-type]  # from getsignal


def _pass_on(before: Mapping[int, object], signum: int, frame: FrameType | None) -> None:
    """Do what the earlier handler of a signal does."""
    handler = before[signum]
    if not callable(handler):
        raise KeyboardInterrupt
    handler(signum, frame)
