"""How long the iterative way will take, found out in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from gi.repository import GLib
from translation import _

from nst_core.base.errors import StyleError
from nst_core.base.recipes import Recipe
from plugin.engine.api import Engine
from plugin.engine.messages import Estimate
from plugin.engine.progress import Stopped, Stopper

PATIENCE_MS = 400


class Estimator:
    """Finds out how long it takes to paint layers of these heights and widths with the latest recipe wished for.

    ``tell`` is called in the main loop when the answer is there: ``estimate``, or why there is none as ``trouble``.
    Until then both are empty.
    """

    def __init__(self, engine: Engine, shapes: Sequence[tuple[int, int]], tell: Callable[[], None]) -> None:
        self.estimate: Estimate | None = None
        self.trouble = ""
        self._engine, self._shapes, self._tell = engine, shapes, tell
        self._wish: Recipe | None = None
        self._stopper = Stopper()
        self._timer = 0
        self._thread = ThreadPoolExecutor(1)

    def wish(self, recipe: Recipe) -> None:
        """Find it out for this one, soon: a number that is being typed changes again."""
        if self._wish == recipe:
            return
        self.forget()
        self._wish = recipe
        self._timer = GLib.timeout_add(PATIENCE_MS, self._start, self._wish)

    def forget(self) -> None:
        """Nobody wants to know any more."""
        self._stopper.stop()
        self._wish, self.estimate, self.trouble = None, None, ""
        if self._timer:
            GLib.source_remove(self._timer)
            self._timer = 0

    def close(self) -> None:
        """Forget, and stay silent."""
        self.forget()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _start(self, wish: Recipe) -> bool:
        self._timer = 0
        self._stopper = stopper = Stopper()
        future = self._thread.submit(self._engine.estimate_time, self._shapes, wish, stopper)
        future.add_done_callback(lambda done: GLib.idle_add(self._done, wish, done))
        return GLib.SOURCE_REMOVE

    def _done(self, wish: Recipe, future: Future[Estimate]) -> bool:
        if wish is not self._wish or future.cancelled():
            return GLib.SOURCE_REMOVE
        try:
            self.estimate = future.result()
        except Stopped:
            return GLib.SOURCE_REMOVE
        except StyleError as error:
            self.trouble = str(error)
        except Exception as error:  # in a thread: nobody else would hear of it
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            self.trouble = _("How long it takes is unknown ({error}).").format(error=reason)
        self._tell()
        return GLib.SOURCE_REMOVE
