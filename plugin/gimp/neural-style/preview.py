"""The painting as it will look, tried on a small copy of the layer in a thread of its own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from gi.repository import GLib
from language import _

from nst_core.errors import StyleError
from plugin.engine.picture import Picture
from plugin.engine.style_library import Style
from plugin.engine.stylize import Stopped, Stopper, Stylized, StylizeSettings, stylize

KEPT = 32

Wish = tuple[tuple[tuple[Style, float], ...], float]
"""Styles with their shares, and the size of the strokes in percent."""


class Preview:
    """Paints what is wished for at full strength. Only the latest wish counts: another one that is being painted is
    given up.

    Args:
        picture: what to paint.
        tell: called in the main loop when ``painting``, ``busy`` or ``trouble`` have changed.

    Attributes:
        painting: the last wish that was painted, or None.
        busy: whether a wish is being painted.
        trouble: why the last one could not be painted: one sentence, or nothing.
    """

    def __init__(self, picture: Picture, tell: Callable[[], None]) -> None:
        self.painting: Stylized | None = None
        self.trouble = ""
        self._picture, self._tell = picture, tell
        self._wish: Wish | None = None
        self._running: Wish | None = None
        self._stopper = Stopper()
        self._painted: OrderedDict[Wish, Stylized] = OrderedDict()
        self._thread = ThreadPoolExecutor(1)

    @property
    def busy(self) -> bool:
        return self._running is not None

    def wish(self, styles: Mapping[Style, float], stroke_size: float) -> None:
        """Paint this, or show it at once if it has been painted before."""
        self._wish, self.trouble = (tuple(styles.items()), stroke_size), ""
        if self._wish in self._painted:
            self.painting = self._painted[self._wish]
            self._painted.move_to_end(self._wish)
        elif not self.busy:
            self._start(self._wish)
        if self._running != self._wish:
            self._stopper.stop()
        self._tell()

    def close(self) -> None:
        """Forget every wish. What is being painted is given up."""
        self._tell = lambda: None
        self._wish = None
        self._stopper.stop()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _start(self, wish: Wish) -> None:
        self._running = wish
        styles, stroke_size = wish
        settings = StylizeSettings(stroke_size=stroke_size)
        self._stopper = Stopper()
        future = self._thread.submit(stylize, self._picture, dict(styles), settings, stopper=self._stopper)
        future.add_done_callback(lambda done: GLib.idle_add(self._done, wish, done))

    def _done(self, wish: Wish, future: Future[Stylized]) -> bool:
        self._running = None
        wanted, trouble = wish == self._wish, ""
        try:
            self._painted[wish] = future.result()
        except Stopped:
            wanted = False  # or was for a moment another one, and is to be painted anew
        except StyleError as error:
            trouble = str(error)
        except Exception as error:  # in a thread: nobody else would hear of it
            trouble = _("The preview failed unexpectedly ({error}).").format(
                error=f"{type(error).__name__}: {' '.join(str(error).split())}"
            )
        if len(self._painted) > KEPT:
            self._painted.popitem(last=False)
        if wanted:
            self.trouble = trouble
            self.painting = self._painted.get(wish)
        elif self._wish and self._wish not in self._painted:
            self._start(self._wish)
        self._tell()
        return GLib.SOURCE_REMOVE
