"""The painting as it will look, tried on a small copy of the layer in a thread of its own."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import pixels
from gi.repository import Gimp, GLib
from translation import _

from nst_core.base.errors import StyleError
from plugin.engine.api import Engine
from plugin.engine.fast.fast_settings import seen_size
from plugin.engine.messages import OpenedLayer, PreviewRequest, PreviewResult
from plugin.engine.process.remote import EngineEnded
from plugin.engine.progress import Stopped, Stopper

KEPT = 32
# A painting of so many times the pixels to be shown is soon there, and needs no sketch before it.
AT_ONCE = 1.5


@dataclass(frozen=True)
class Layer:
    """A layer of this height and width, opened to try things on."""

    opened: OpenedLayer
    height: int
    width: int


def open_layer(engine: Engine, drawable: Gimp.Drawable, with_selection: bool = True) -> Layer:
    """Open the layer that ``drawable`` is, or is the mask of, as it is seen.

    ``with_selection`` is whether the selection decides where the style goes.
    """
    (layer,) = pixels.layers_of([drawable])
    # Reading it at another size would be faster still, but gives black where GIMP has not made that size yet.
    picture = pixels.read_layer(layer, with_selection, eight_bits=True)
    return Layer(engine.open_layer(picture, layer.is_gray()), picture.height, picture.width)


@dataclass(frozen=True, eq=False)
class Painting:
    """How ``wish`` looks. A sketch has larger strokes than it should."""

    wish: PreviewRequest
    trial: PreviewResult
    sketch: bool


class Preview:
    """Paints what is wished for at full strength, the latest wish first; what nobody waits for any more is stopped.

    A style other than the one that is shown is sketched first, unless it is soon painted.

    Args:
        layer: it is closed with the preview.
        tell: called in the main loop when ``painting``, ``busy`` or ``trouble`` have changed.

    Attributes:
        painting: the last wish that was painted, or None.
        trouble: why the last one could not be painted: one sentence, or nothing.
    """

    def __init__(self, engine: Engine, layer: Layer, tell: Callable[[], None]) -> None:
        self.painting: Painting | None = None
        self.trouble = ""
        self._engine, self._layer, self._tell = engine, layer, tell
        self._wish: PreviewRequest | None = None
        self._running: tuple[PreviewRequest, Stopper] | None = None
        self._painted: OrderedDict[PreviewRequest, Painting] = OrderedDict()
        self._thread = ThreadPoolExecutor(1)

    @property
    def busy(self) -> bool:
        """Whether a wish is being painted."""
        return self._running is not None

    def wish(self, wish: PreviewRequest) -> None:
        """Paint this, or show it at once if it has been painted before."""
        self._wish, self.trouble = wish, ""
        if self._running and self._running[0] != wish:
            self._running[1].stop()
        if wish in self._painted:
            self._show(self._painted[wish])
            self._painted.move_to_end(wish)
        elif not self.busy:
            self._start(wish)
        self._tell()

    def close(self) -> None:
        """Forget every wish. What is being painted ends soon, unseen."""
        self._tell = lambda: None
        self._wish = None
        if self._running:
            self._running[1].stop()
        self._thread.shutdown(wait=False, cancel_futures=True)
        with suppress(EngineEnded):
            self._engine.close_layer(self._layer.opened.number)

    def _start(self, wish: PreviewRequest) -> None:
        stopper = Stopper()
        self._running = wish, stopper
        future = self._thread.submit(self._paint, wish, self._sketched(wish), stopper)
        future.add_done_callback(lambda done: GLib.idle_add(self._done, wish, done))

    def _done(self, wish: PreviewRequest, future: Future[Painting]) -> bool:
        self._running = None
        wanted = wish == self._wish
        try:
            painting = future.result()
            if not painting.sketch:
                self._keep(painting)
            if wanted:
                self._show(painting)
            elif painting.sketch:
                self._forget(painting)
        except Stopped:
            pass
        except Exception as error:  # in a thread: nobody else would hear of it
            if wanted:
                self._show(None)
                self.trouble = _sentence(error)
        if self._wish and self._wish not in self._painted and not self.trouble:
            self._start(self._wish)
        self._tell()
        return GLib.SOURCE_REMOVE

    def _show(self, painting: Painting | None) -> None:
        if self.painting and self.painting.sketch:
            self._forget(self.painting)
        self.painting = painting

    def _keep(self, painting: Painting) -> None:
        self._painted[painting.wish] = painting
        if len(self._painted) > KEPT:
            oldest = next(wish for wish, kept in self._painted.items() if kept is not self.painting)
            self._forget(self._painted.pop(oldest))

    def _forget(self, painting: Painting) -> None:
        with suppress(EngineEnded):
            self._engine.forget_preview(self._layer.opened.number, painting.trial.number)

    def _sketched(self, wish: PreviewRequest) -> bool:
        """Whether a sketch comes before this."""
        shown = self.painting and self.painting.wish.styles
        size, room = (self._layer.height, self._layer.width), self._layer.opened.height * self._layer.opened.width
        return not wish.corner and shown != wish.styles and math.prod(seen_size(*size, wish.settings)) > AT_ONCE * room

    def _paint(self, wish: PreviewRequest, sketch: bool, stopper: Stopper) -> Painting:
        return Painting(wish, self._engine.preview(self._layer.opened.number, wish, sketch, stopper), sketch)


def _sentence(error: Exception) -> str:
    if isinstance(error, StyleError):
        return str(error)
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return _("The preview failed unexpectedly ({error}).").format(error=reason)
