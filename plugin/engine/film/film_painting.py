"""Paint a film frame by frame, with the reading, painting and writing of frames at the same time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from plugin.engine.film.film_settings import FilmSettings
from plugin.engine.film.frames import Frame, FrameSink, FrameSource
from plugin.engine.film.steadiness import Paint, Steadier, first_remembered
from plugin.engine.progress import Stopper

READ_AHEAD = 2  # frames


@dataclass(frozen=True)
class FilmResult:
    """How many frames were painted, how many were there already, and seconds by stage."""

    painted: int
    kept: int
    seconds: dict[str, float]


def paint_film(
    source: FrameSource,
    sink: FrameSink,
    paint: Paint,
    settings: FilmSettings,
    after_each: Callable[[int], None] = lambda number: None,
    stopper: Stopper | None = None,
) -> FilmResult:
    """Paint the frames of ``source`` that ``sink`` lacks, and finish it.

    ``after_each`` takes how many frames are there. An interrupted film continues where its sink ends, with the same
    frames as without the interruption. Raises progress.StoppedError if ``stopper`` stops it, and StyleError for what
    cannot be read, painted or written.
    """
    stopper, kept, start = stopper or Stopper(), sink.painted, time.monotonic()
    steadier = Steadier(settings.steady) if settings.steady else None
    seconds = {"painting": 0.0, "steadying": 0.0}
    first = first_remembered(kept) if steadier else kept
    number = kept
    with ThreadPoolExecutor(1) as writer:
        written: Future[None] | None = None
        for position, frame in enumerate(_read_ahead(source.frames(first)), first):
            stopper.check()
            if steadier and position < kept:
                steadier.follow(position, frame.picture, paint)
                continue
            lap = time.monotonic()
            pixels = paint(frame.picture)
            seconds["painting"] += time.monotonic() - lap
            lap = time.monotonic()
            if steadier:
                pixels = steadier.steady(position, frame.picture, pixels)
            seconds["steadying"] += time.monotonic() - lap
            if written is not None:
                written.result()
            written = writer.submit(sink.write, frame, pixels)
            number = position + 1
            after_each(number)
        if written is not None:
            written.result()
    sink.finish()
    return FilmResult(number - kept, kept, seconds | {"total": time.monotonic() - start})


def _read_ahead(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Yield ``frames``, which another thread reads."""
    ready: queue.Queue[Frame | BaseException | None] = queue.Queue(READ_AHEAD)
    closed = threading.Event()

    def put(item: Frame | BaseException | None) -> None:
        while not closed.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue
        return None

    def read() -> None:
        try:
            for frame in frames:
                put(frame)
                if closed.is_set():
                    return
            put(None)
        except BaseException as error:  # the painting thread raises it
            put(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        closed.set()
        thread.join()
