"""Show in the terminal how far long work is, and let Ctrl-C stop it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Protocol

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
    a second Ctrl-C.
    """
    asked = running = False

    def ask(signum: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked or not running:
            _pass_on(before, signum, frame)
        asked = True

    def interrupted() -> bool:
        nonlocal running
        running = True
        return asked

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interrupts_noted() -> Iterator[Interrupted]:
    """Let Ctrl-C raise KeyboardInterrupt, and yield a function that tells whether it did.

    A library that calls back into Python swallows the exception.
    """
    noted = False

    def note(signum: int, frame: FrameType | None) -> None:
        nonlocal noted
        noted = True
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:  # the process was started to ignore Ctrl-C
        yield lambda: False
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: noted
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Hold Ctrl-C back until the block ends, for a library that would swallow it or abort; a second one passes."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield
        return
    held: list[tuple[int, FrameType | None]] = []

    def hold(signum: int, frame: FrameType | None) -> None:
        held.append((signum, frame))
        if len(held) > 1:
            _pass_on(before, signum, frame)

    before = signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if held:
            _pass_on(before, *held[0])


def _pass_on(handler: object, signum: int, frame: FrameType | None) -> None:
    """Do what an earlier handler of a signal does."""
    if callable(handler):
        handler(signum, frame)
    elif handler is not signal.SIG_IGN:
        raise KeyboardInterrupt
