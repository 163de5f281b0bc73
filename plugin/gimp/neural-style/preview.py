"""The painting as it will look, tried on a small copy of the layer in a thread of its own."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from gi.repository import GLib
from language import _
from proxy import LayerCopy

from nst_core.errors import StyleError
from plugin.engine.detail import enlarged, resized
from plugin.engine.picture import Picture, network_input
from plugin.engine.progress import Stopped, Stopper
from plugin.engine.provider import Provider
from plugin.engine.style_library import Style
from plugin.engine.stylize import StylizeSettings, seen_size, stylize

KEPT = 32
# Around a part of the layer, in its pixels: what the network looks at beside it.
SURROUNDINGS = 160
# A painting of so many times the proxy's pixels is soon there, and needs no sketch before it.
AT_ONCE = 1.5
AS_IT_IS = StylizeSettings(full_resolution=True)


@dataclass(frozen=True)
class Wish:
    """What to paint.

    Attributes:
        styles: with their shares.
        stroke_size: in percent.
        corner: the left upper corner, in the layer's pixels, of the part to paint with strokes at full resolution; None
            for the whole layer with strokes relative to it.
    """

    styles: tuple[tuple[Style, float], ...]
    stroke_size: float
    corner: tuple[int, int] | None = None

    @property
    def settings(self) -> StylizeSettings:
        return StylizeSettings(stroke_size=self.stroke_size, full_resolution=self.corner is not None)


@dataclass(frozen=True, eq=False)
class Painting:
    """How ``wish`` looks: float32 RGB of the proxy's size, and what computed it.

    A sketch is painted at that size too, which is quick, but has larger strokes than it should.
    """

    wish: Wish
    rgb: np.ndarray
    provider: Provider
    sketch: bool


class Preview:
    """Paints what is wished for at full strength, the latest wish first; what nobody waits for any more is stopped.

    A style other than the one that is shown is sketched first, unless it is soon painted.

    Args:
        copy: of the layer.
        tell: called in the main loop when ``painting``, ``busy`` or ``trouble`` have changed.

    Attributes:
        painting: the last wish that was painted, or None.
        trouble: why the last one could not be painted: one sentence, or nothing.
    """

    def __init__(self, copy: LayerCopy, tell: Callable[[], None]) -> None:
        self.painting: Painting | None = None
        self.trouble = ""
        self._copy, self._tell = copy, tell
        self._wish: Wish | None = None
        self._running: tuple[Wish, Stopper] | None = None
        self._painted: OrderedDict[Wish, Painting] = OrderedDict()
        self._thread = ThreadPoolExecutor(1)

    @property
    def busy(self) -> bool:
        """Whether a wish is being painted."""
        return self._running is not None

    def wish(self, wish: Wish) -> None:
        """Paint this, or show it at once if it has been painted before."""
        self._wish, self.trouble = wish, ""
        if self._running and self._running[0] != wish:
            self._running[1].stop()
        if wish in self._painted:
            self.painting = self._painted[wish]
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

    def _start(self, wish: Wish) -> None:
        stopper = Stopper()
        self._running = wish, stopper
        future = self._thread.submit(self._work(wish), stopper)
        future.add_done_callback(lambda done: GLib.idle_add(self._done, wish, done))

    def _done(self, wish: Wish, future: Future[Painting]) -> bool:
        self._running = None
        wanted = wish == self._wish
        try:
            painting = future.result()
            if not painting.sketch:
                self._keep(painting)
            if wanted:
                self.painting = painting
        except Stopped:
            pass
        except Exception as error:  # in a thread: nobody else would hear of it
            if wanted:
                self.painting, self.trouble = None, _sentence(error)
        if self._wish and self._wish not in self._painted and not self.trouble:
            self._start(self._wish)
        self._tell()
        return GLib.SOURCE_REMOVE

    def _keep(self, painting: Painting) -> None:
        self._painted[painting.wish] = painting
        if len(self._painted) > KEPT:
            self._painted.popitem(last=False)

    def _work(self, wish: Wish) -> Callable[[Stopper], Painting]:
        """What is to be done in the other thread."""
        if wish.corner:
            return self._part(wish, *wish.corner)
        proxy, size = self._copy.proxy, seen_size(*self._copy.size, wish.settings)
        shown = self.painting and self.painting.wish.styles
        if shown != wish.styles and math.prod(size) > AT_ONCE * proxy.height * proxy.width:
            return lambda stopper: _paint(wish, AS_IT_IS, proxy.pixels, stopper, sketch=True)

        def paint(stopper: Stopper) -> Painting:
            # As stylize does, but that the painting comes to the proxy's size and not to the layer's.
            seen = self._copy.seen(*size)
            painting = _paint(wish, AS_IT_IS, np.dstack([seen, np.ones_like(seen[..., :1])]), stopper)
            if size[0] < proxy.height:
                rgb = enlarged(painting.rgb, seen, network_input(proxy))
            else:
                rgb = resized(painting.rgb, proxy.height, proxy.width)
            return replace(painting, rgb=rgb)

        return paint

    def _part(self, wish: Wish, x: int, y: int) -> Callable[[Stopper], Painting]:
        proxy, (full_height, full_width) = self._copy.proxy, self._copy.size
        left, top = max(0, x - SURROUNDINGS), max(0, y - SURROUNDINGS)
        right, bottom = (
            min(full_width, x + proxy.width + SURROUNDINGS),
            min(full_height, y + proxy.height + SURROUNDINGS),
        )

        def paint(stopper: Stopper) -> Painting:
            part = self._copy.part(left, top, right - left, bottom - top)
            painting = _paint(wish, wish.settings, part.pixels, stopper)
            return replace(painting, rgb=painting.rgb[y - top :, x - left :][: proxy.height, : proxy.width])

        return paint


def _paint(
    wish: Wish, settings: StylizeSettings, pixels: np.ndarray, stopper: Stopper, sketch: bool = False
) -> Painting:
    done = stylize(Picture(pixels), dict(wish.styles), settings, stopper=stopper)
    return Painting(wish, done.pixels[..., :3], done.provider, sketch)


def _sentence(error: Exception) -> str:
    if isinstance(error, StyleError):
        return str(error)
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return _("The preview failed unexpectedly ({error}).").format(error=reason)
