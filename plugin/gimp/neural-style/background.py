"""Long computations beside a living main loop, and what the user hears of them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from gi.repository import Gimp, GLib
from translation import _

if TYPE_CHECKING:
    from plugin.engine.progress import Progress, ProgressCallback

T = TypeVar("T")
TICK_MS = 100


class Cancelled(Exception):
    """The user does not want the result any more."""


class Watcher(Protocol):
    """Somebody who looks on, and may end the work early: keeping what there is by then, or not.

    ``layers`` are the numbers of opened ones on which to show how the pictures develop, or none.
    """

    stopped: bool
    cancelled: bool
    layers: Sequence[int]

    def look(self, progress: Progress) -> None:
        """See where the work is. Called in the main loop, several times a second."""

    def close(self) -> None:
        """The work is over."""


def tell_once(sentences: Iterable[str]) -> None:
    """Tell the user each sentence, unless it was told since GIMP was started."""
    for sentence in sentences:
        # Parasites of GIMP itself that are not persistent last as long as GIMP does.
        name = f"neural-style-told-{zlib.crc32(sentence.encode())}"
        if Gimp.get_parasite(name) is None:
            Gimp.attach_parasite(Gimp.Parasite.new(name, 0, sentence.encode()))
            Gimp.message(sentence)


def run(work: Callable[[ProgressCallback], T], title: str, watcher: Watcher | None = None) -> T:
    """Call ``work`` in a thread of its own, show its progress in GIMP, and return what it returns or raise what it
    raises. ``work`` must not touch GIMP. Raises Cancelled as soon as ``watcher`` is; the thread then ends by itself,
    when ``work`` next reports.
    """
    loop = GLib.MainLoop()
    latest: list[Progress] = []

    def report(progress: Progress) -> bool:
        latest[:] = [progress]
        return watcher is None or not (watcher.stopped or watcher.cancelled)

    def tick() -> bool:
        # Every tick talks to GIMP, changed or not: if GIMP has died, that ends this process too.
        at = latest[0] if latest else None
        if at is None:
            text = title
        elif at.iterations:
            text = _("{title}: iteration {iteration} of {iterations}")
            text = text.format(title=title, iteration=at.iteration, iterations=at.iterations)
        else:
            text = f"{title}: {at.stage}"
        Gimp.progress_set_text(text)
        if at is not None and at.fraction:
            Gimp.progress_update(at.fraction)
        else:
            Gimp.progress_pulse()
        if watcher is not None:
            if at is not None:
                watcher.look(at)
            if watcher.cancelled:
                loop.quit()
        return GLib.SOURCE_CONTINUE

    Gimp.progress_init(title)
    timer = GLib.timeout_add(TICK_MS, tick)
    executor = ThreadPoolExecutor(1)
    try:
        future = executor.submit(work, report)
        future.add_done_callback(lambda _: GLib.idle_add(loop.quit))
        loop.run()
        if watcher is not None and watcher.cancelled:
            raise Cancelled
        return future.result()
    finally:
        executor.shutdown(wait=False)
        GLib.source_remove(timer)
        Gimp.progress_end()
        if watcher is not None:
            watcher.close()
