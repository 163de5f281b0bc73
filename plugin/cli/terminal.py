"""What a terminal shows of long work, and Ctrl-C."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Protocol


@contextmanager
def one_voice() -> Iterator[None]:
    """Of several processes that ``torchrun`` started, the first alone is heard."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or os.environ["RANK"] == "0":
        yield
        return
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


@contextmanager
def training_bar(steps: int) -> Iterator[tuple[Callable[[Any], bool], Callable[[str, float], None]]]:
    """Gives the two callbacks of a training: its progress, stopped by Ctrl-C, and the stages before the first step."""
    with interruptible() as interrupted, stages() as stage, bar(steps) as show:

        def progress(step: Any) -> bool:
            stop = interrupted()
            show(step.step, step.losses, step.steps)
            return not stop

        yield progress, stage


class Show(Protocol):
    """What to call after a step."""

    def __call__(self, done: int, losses: Mapping[str, float], total: int | None = None) -> None:
        """``total`` is how many steps there are, if that may have changed; 0 while nobody knows."""


@contextmanager
def bar(total: int) -> Iterator[Show]:
    """A progress bar with losses. It appears with the first step: what goes wrong before is one sentence alone."""
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
def stages() -> Iterator[Callable[[str, float], None]]:
    """Gives a function to call with a stage and its fraction: a bar for whatever takes long before the first step.

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
def interruptible() -> Iterator[Callable[[], bool]]:
    """Gives a function to call after every step, before it is shown, which says whether Ctrl-C was pressed.

    Before the first step there is nothing to keep, so Ctrl-C is the usual there; so is a second one.
    """
    asked = running = False

    def ask(signum: int, frame: object) -> None:
        nonlocal asked
        if asked or not running:
            raise KeyboardInterrupt
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
