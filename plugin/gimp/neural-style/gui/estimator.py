"""Estimate how long an iterative render will take, in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from gi.repository import GLib
from translation import _

from nst_core.base.errors import StyleError
from nst_core.base.recipes import Recipe
from plugin.engine.api import Engine
from plugin.engine.messages import Estimate
from plugin.engine.progress import StoppedError, Stopper

DELAY_MS = 400


class Estimator:
    """Estimates how long layers take to paint with the recipe that was requested last.

    Args:
        engine: computes the estimate.
        shapes: the heights and widths of the layers.
        on_change: called in the main loop when ``estimate`` or ``error`` is ready.

    Attributes:
        estimate: the estimate, or None while there is none.
        error: why there is no estimate, in one sentence, or nothing.
    """

    def __init__(self, engine: Engine, shapes: Sequence[tuple[int, int]], on_change: Callable[[], None]) -> None:
        self.estimate: Estimate | None = None
        self.error = ""
        self._engine, self._shapes, self._on_change = engine, shapes, on_change
        self._recipe: Recipe | None = None
        self._stopper = Stopper()
        self._timer = 0
        self._thread = ThreadPoolExecutor(1)

    def request(self, recipe: Recipe) -> None:
        """Estimate a render after a short delay, because a number that is being typed changes again."""
        if self._recipe == recipe:
            return
        self.cancel()
        self._recipe = recipe
        self._timer = GLib.timeout_add(DELAY_MS, self._start, recipe)

    def cancel(self) -> None:
        """Drop the request and its estimate."""
        self._stopper.stop()
        self._recipe, self.estimate, self.error = None, None, ""
        if self._timer:
            GLib.source_remove(self._timer)
            self._timer = 0

    def close(self) -> None:
        """Drop the request and end the thread; ``on_change`` is not called any more."""
        self.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _start(self, recipe: Recipe) -> bool:
        self._timer = 0
        self._stopper = stopper = Stopper()
        future = self._thread.submit(self._engine.estimate_time, self._shapes, recipe, stopper)
        future.add_done_callback(lambda done: GLib.idle_add(self._finish, recipe, done))
        return GLib.SOURCE_REMOVE

    def _finish(self, recipe: Recipe, future: Future[Estimate]) -> bool:
        if recipe is not self._recipe or future.cancelled():
            return GLib.SOURCE_REMOVE
        try:
            self.estimate = future.result()
        except StoppedError:
            return GLib.SOURCE_REMOVE
        except StyleError as error:
            self.error = str(error)
        except Exception as error:  # it comes from a thread, so nobody else would report it
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            self.error = _("The time cannot be estimated ({error}).").format(error=reason)
        self._on_change()
        return GLib.SOURCE_REMOVE
