"""Run long computations while the main loop goes on, and show their progress in GIMP."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from gi.repository import Gimp, GLib
from showable import showable

if TYPE_CHECKING:
    from plugin.engine.progress import Progress, ProgressCallback

T = TypeVar("T")
TICK_MS = 100


class PaintingCancelledError(Exception):
    """The user no longer wants the result."""


class ProgressMonitor(Protocol):
    """Something that shows progress, and may end the work early.

    Attributes:
        stopped: whether to end the work and keep what is there.
        cancelled: whether to end the work and keep nothing.
        layers: the numbers of the opened layers on which to show how the pictures develop, or none.
    """

    stopped: bool
    cancelled: bool
    layers: Sequence[int]

    def show(self, progress: Progress) -> None:
        """Show how far the work is. Called in the main loop, several times a second."""

    def close(self) -> None:
        """Close, because the work has ended."""


def show_messages_once(sentences: Iterable[str]) -> None:
    """Show each sentence to the user, unless it was shown since GIMP started."""
    for sentence in map(showable, sentences):
        # A parasite of GIMP itself that is not persistent lasts until GIMP ends.
        name = f"neural-style-shown-{zlib.crc32(sentence.encode())}"
        if Gimp.get_parasite(name) is None:
            Gimp.attach_parasite(Gimp.Parasite.new(name, 0, sentence.encode()))
            show_message(sentence)


def show_message(sentence: str) -> None:
    """Show a sentence to the user."""
    Gimp.message(showable(sentence))


def run(work: Callable[[ProgressCallback], T], title: str, monitor: ProgressMonitor | None = None) -> T:
    """Call ``work`` in a thread of its own, show its progress in GIMP, and return its value or raise its error.

    ``work`` must not use GIMP. Raises PaintingCancelledError as soon as ``monitor`` is cancelled; the thread then ends
    by itself when ``work`` next reports progress.
    """
    loop = GLib.MainLoop()
    latest: list[Progress] = []

    def report(progress: Progress) -> bool:
        latest[:] = [progress]
        return monitor is None or not (monitor.stopped or monitor.cancelled)

    def tick() -> bool:
        # Every tick calls GIMP, even without news: if GIMP has died, that ends this process too.
        progress = latest[0] if latest else None
        _show_in_gimp(title, progress)
        if monitor is not None:
            if progress is not None:
                monitor.show(progress)
            if monitor.cancelled:
                loop.quit()
        return GLib.SOURCE_CONTINUE

    Gimp.progress_init(showable(title))
    timer = GLib.timeout_add(TICK_MS, tick)
    executor = ThreadPoolExecutor(1)
    try:
        future = executor.submit(work, report)
        future.add_done_callback(lambda _: GLib.idle_add(loop.quit))
        loop.run()
        if monitor is not None and monitor.cancelled:
            raise PaintingCancelledError
        return future.result()
    finally:
        executor.shutdown(wait=False)
        GLib.source_remove(timer)
        Gimp.progress_end()
        if monitor is not None:
            monitor.close()


def _show_in_gimp(title: str, progress: Progress | None) -> None:
    """Show the progress in GIMP's own bar."""
    if progress is None:
        text = title
    elif progress.iterations:
        text = f"{title}: {round(100 * progress.fraction)} %"
    else:
        text = f"{title}: {progress.stage}"
    Gimp.progress_set_text(showable(text))
    if progress is not None and progress.fraction:
        Gimp.progress_update(progress.fraction)
    else:
        Gimp.progress_pulse()
