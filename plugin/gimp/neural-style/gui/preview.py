"""The preview: a small copy of the layer, painted in a thread of its own."""

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
from plugin.engine.fast.fast_settings import working_size
from plugin.engine.messages import OpenedLayer, PreviewRequest, PreviewResult
from plugin.engine.process.remote import EngineEndedError
from plugin.engine.progress import StoppedError, Stopper

# Lower than that of showing a preview.
NEXT_PRIORITY = GLib.PRIORITY_LOW + 10
# How many previews are kept to show again at once.
MAX_KEPT = 16
# A preview whose network sees at most this multiple of the pixels shown is painted soon, and needs no sketch first.
UNSKETCHED_RATIO = 1.5


@dataclass(frozen=True)
class PreviewLayer:
    """A layer, opened in the engine for previews.

    Attributes:
        opened: the layer in the engine.
        height: of the layer.
        width: likewise.
        selection: how much of each pixel is selected, in eight bits, or None.
    """

    opened: OpenedLayer
    height: int
    width: int
    selection: bytes | None


def open_layer(engine: Engine, drawable: Gimp.Drawable, with_selection: bool = True) -> PreviewLayer:
    """Open a layer, or the layer of a mask, with its effects.

    ``with_selection`` says whether the selection limits where the style goes.
    """
    (layer,) = pixels.unique_layers([drawable])
    # Reading it at a smaller size would be faster, but gives black where GIMP has not made that size yet.
    picture = pixels.read_layer(layer, with_selection, eight_bits=True)
    opened = engine.open_layer(picture, layer.is_gray())
    return PreviewLayer(opened, picture.height, picture.width, picture.mask)


@dataclass(frozen=True, eq=False)
class PreviewPainting:
    """The painting for a request. A sketch has larger strokes than requested."""

    request: PreviewRequest
    result: PreviewResult
    sketch: bool


class Preview:
    """Paints the latest request at full strength, and stops painting a request that is no longer the latest.

    A style other than the one that is shown is first painted as a sketch, unless its preview takes little time.

    Args:
        engine: paints.
        layer: the layer to paint, which is closed with the preview.
        on_change: called in the main loop after ``painting``, ``busy`` or ``error`` has changed.

    Attributes:
        painting: the painting to show, or None.
        error: why the latest request could not be painted, in one sentence, or nothing.
    """

    def __init__(self, engine: Engine, layer: PreviewLayer, on_change: Callable[[], None]) -> None:
        self.painting: PreviewPainting | None = None
        self.error = ""
        self._engine, self._layer, self._on_change = engine, layer, on_change
        self._latest: PreviewRequest | None = None
        self._running: tuple[PreviewRequest, Stopper] | None = None
        self._kept: OrderedDict[PreviewRequest, PreviewPainting] = OrderedDict()
        self._thread = ThreadPoolExecutor(1)

    @property
    def busy(self) -> bool:
        """Whether the latest request is still to be painted, or another one is."""
        return self._running is not None or self._is_waiting()

    def request(self, request: PreviewRequest) -> None:
        """Paint the request, or show it at once if its painting was kept."""
        self._latest, self.error = request, ""
        if self._running and self._running[0] != request:
            self._running[1].stop()
        if request in self._kept:
            self._show(self._kept[request])
            self._kept.move_to_end(request)
        elif self._running is None:
            self._start(request)
        self._on_change()

    def close(self) -> None:
        """Drop every request and close the layer; a painting in progress ends soon, unseen."""
        self._on_change = lambda: None
        self._latest = None
        if self._running:
            self._running[1].stop()
        self._thread.shutdown(wait=False, cancel_futures=True)
        with suppress(EngineEndedError):
            self._engine.close_layer(self._layer.opened.number)

    def _start(self, request: PreviewRequest) -> None:
        stopper = Stopper()
        self._running = request, stopper
        future = self._thread.submit(self._paint, request, self._needs_sketch(request), stopper)
        future.add_done_callback(lambda done: GLib.idle_add(self._finish, request, done))

    def _finish(self, request: PreviewRequest, future: Future[PreviewPainting]) -> bool:
        self._running = None
        is_latest = request == self._latest
        try:
            painting = future.result()
            if not painting.sketch:
                self._keep(painting)
            if is_latest:
                self._show(painting)
            elif painting.sketch:
                self._forget(painting)
        except StoppedError:
            pass
        except Exception as error:  # it comes from a thread, so nobody else would report it
            if is_latest:
                self._show(None)
                self.error = _describe(error)
        self._on_change()
        # The sketch is shown first, because both need all cores.
        GLib.idle_add(self._continue, priority=NEXT_PRIORITY)
        return GLib.SOURCE_REMOVE

    def _continue(self) -> bool:
        """Paint the latest request if it is not painted yet."""
        if self._latest and self._running is None and self._is_waiting():
            self._start(self._latest)
        return GLib.SOURCE_REMOVE

    def _is_waiting(self) -> bool:
        return self._latest is not None and self._latest not in self._kept and not self.error

    def _show(self, painting: PreviewPainting | None) -> None:
        if self.painting and self.painting.sketch:
            self._forget(self.painting)
        self.painting = painting

    def _keep(self, painting: PreviewPainting) -> None:
        self._kept[painting.request] = painting
        if len(self._kept) > MAX_KEPT:
            oldest = next(request for request, kept in self._kept.items() if kept is not self.painting)
            self._forget(self._kept.pop(oldest))

    def _forget(self, painting: PreviewPainting) -> None:
        with suppress(EngineEndedError):
            self._engine.forget_preview(self._layer.opened.number, painting.result.number)

    def _needs_sketch(self, request: PreviewRequest) -> bool:
        """Return whether to paint a sketch first."""
        shown = self.painting and self.painting.request
        same_styles = shown and (shown.styles, shown.pictures) == (request.styles, request.pictures)
        if request.area or request.render or same_styles:
            return False
        shown_pixels = self._layer.opened.height * self._layer.opened.width
        painted_size = working_size(self._layer.height, self._layer.width, request.settings)
        return math.prod(painted_size) > UNSKETCHED_RATIO * shown_pixels

    def _paint(self, request: PreviewRequest, sketch: bool, stopper: Stopper) -> PreviewPainting:
        result = self._engine.preview(self._layer.opened.number, request, sketch, stopper)
        return PreviewPainting(request, result, sketch)


def _describe(error: Exception) -> str:
    if isinstance(error, StyleError):
        return str(error)
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return _("The preview failed unexpectedly ({error}).").format(error=reason)
