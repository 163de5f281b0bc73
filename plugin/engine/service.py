"""The engine in the process of its caller, which may be a host or the worker process (process/worker.py)."""

from __future__ import annotations

import functools
import gc
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nst_core.base.language import _
from plugin.engine.fast.fast_painting import FastResult, check_fast_memory, paint_fast
from plugin.engine.fast.network_run import close_sessions
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.compositing import composite
from plugin.engine.imaging.picture import Picture
from plugin.engine.imaging.raw_pictures import picture_of, raw_of
from plugin.engine.imaging.resampling import resample_picture
from plugin.engine.instant.instant_networks import close_networks
from plugin.engine.machine import memory, provider
from plugin.engine.messages import (
    Estimate,
    FastRequest,
    InstantRequest,
    IterativeRequest,
    LayerView,
    MixRequest,
    OpenedLayer,
    PaintedPicture,
    PreviewRequest,
    PreviewResult,
    RawPicture,
    RegionsRequest,
    Request,
)
from plugin.engine.progress import Progress, ProgressCallback, StoppedError, Stopper, ignore
from plugin.engine.regions.region_settings import RegionSettings

if TYPE_CHECKING:
    from nst_core.base.recipes import Recipe
    from plugin.engine.imaging.kept_render import MixResult
    from plugin.engine.instant.instant_painting import InstantResult
    from plugin.engine.iterative.iterative_painting import IterativeResult
    from plugin.engine.preview.layer_copy import LayerCopy
    from plugin.engine.preview.preview_painting import PaintedArea
    from plugin.engine.regions.region_painting import RegionsResult

# Fast painting must start soon. Modules that only the other calls need are imported by those calls.
# A painter returns its result, and the render that a host may keep.
Painter = Callable[
    [Picture, RawPicture, ProgressCallback],
    "tuple[FastResult | InstantResult | RegionsResult | IterativeResult | MixResult, bytes]",
]
# The least time between two reports of an iterative render; no host looks more often.
REPORT_SECONDS = 0.1


@dataclass(eq=False)
class _LayerState:
    """An opened layer, its previews by number, and the parts of the last mixture, because a slider mixes often."""

    copy: LayerCopy
    previews: dict[int, PaintedArea] = field(default_factory=dict)
    last: tuple[int, LayerView, Picture, np.ndarray] | None = None

    def select(self, selection: bytes | None) -> None:
        """Change how much of each pixel is selected."""
        self.copy.select(selection)
        self.last = None

    def mixed_preview(self, number: int, view: LayerView, blend: BlendSettings) -> bytes:
        """Return the photo mixed with a preview, to be shown: RGB in eight bits."""
        last, painted_area = self.last, self.previews[number]
        if last is None or last[:2] != (number, view):
            photo = last[2] if last and last[1] == view else self.copy.shown(view)
            last = number, view, photo, painted_area.shown(self.copy, view)
            self.last = last
        difference = painted_area.luminance_difference(self.copy, view) if blend.keep_colors else None
        return self.mixed(*last[2:], blend, difference)

    def mixed(
        self, picture: Picture, painted: np.ndarray, blend: BlendSettings, difference: np.ndarray | None = None
    ) -> bytes:
        """Return a mixture of photo and painting, to be shown: RGB in eight bits."""
        from plugin.engine.preview.layer_copy import greyed, opaque

        pixels = composite(picture, painted, blend, difference)
        return opaque(greyed(pixels) if self.copy.grey else pixels).tobytes()

    def developing(self, blend: BlendSettings, painted: np.ndarray) -> bytes:
        """Return the whole layer with an unfinished painting of any size, to be shown: RGB in eight bits."""
        proxy = self.copy.proxy
        return self.mixed(proxy, resample_picture(painted, proxy.height, proxy.width), blend)


class LocalEngine:
    """An Engine (see api.py) in this process, with the layers that its host opened."""

    def __init__(self) -> None:
        self._layers: dict[int, _LayerState] = {}
        self._numbers = itertools.count(1)

    def paint(
        self,
        pictures: Sequence[RawPicture],
        request: Request,
        progress: ProgressCallback = ignore,
        *,
        layers: Sequence[int] = (),
    ) -> list[PaintedPicture]:
        """Paint pictures, as Engine.paint describes."""
        memory.keep_freed_memory()
        opened = [self._layers[number] for number in layers]
        painter = _painter(request)
        painted = []
        for index, picture in enumerate(pictures):
            show = None
            if opened and isinstance(request, IterativeRequest):
                show = functools.partial(opened[index].developing, request.blend)
            report = _PictureProgress(progress, index, len(pictures), show)
            if not report(Progress(_("Preparing"), 0.0)):
                break
            try:
                result, render = painter(_subject(picture), picture, report)
            except StoppedError:
                break
            painted.append(
                PaintedPicture(raw_of(result.pixels, picture.eight_bits), result.seconds, list(result.notes), render)
            )
        return painted

    def require_torch(self) -> None:
        """Raise StyleError, saying how to get it, if PyTorch is not installed."""
        from plugin.engine.iterative.iterative_painting import require_torch

        require_torch()

    def check_pictures(self, pixels: int) -> None:
        """Raise StyleError, saying how large a picture would fit, if that many pixels do not fit into memory."""
        memory.check_pictures(pixels)

    def reads_picture(self, path: str) -> bool:
        """Return whether the engine can read this kind of picture file itself."""
        from plugin.engine.instant.style_reading import is_readable

        return is_readable(Path(path))

    def check_painting(self, shapes: Sequence[tuple[int, int]], request: FastRequest | InstantRequest) -> None:
        """Raise StyleError if pictures take too much memory, as Engine.check_painting describes."""
        memory.check_pictures(sum(height * width for height, width in shapes))
        if isinstance(request, InstantRequest):
            from plugin.engine.instant.instant_painting import check_instant_memory

            for height, width in set(shapes):
                check_instant_memory(height, width, request.settings)
        elif provider.is_known(next(iter(request.styles)).path):
            for height, width in set(shapes):
                check_fast_memory(height, width, request.styles, request.settings)

    def open_layer(self, picture: RawPicture, grey: bool) -> OpenedLayer:
        """Keep a copy of a layer for previews, as Engine.open_layer describes."""
        from plugin.engine.preview.layer_copy import LayerCopy

        memory.keep_freed_memory()
        copy, number = LayerCopy(picture, grey), next(self._numbers)
        self._layers[number] = _LayerState(copy)
        return OpenedLayer(number, copy.proxy.width, copy.proxy.height)

    def select(self, layer: int, selection: bytes | None) -> None:
        """Change the selection of an opened layer, as Engine.select describes."""
        self._layers[layer].select(selection)

    def close_layer(self, layer: int) -> None:
        """Forget an opened layer and all its previews."""
        del self._layers[layer]

    def layer_photo(self, layer: int, view: LayerView | None = None) -> bytes:
        """Return the unpainted opened layer to be shown, as Engine.layer_photo describes."""
        from plugin.engine.preview.layer_copy import opaque

        copy = self._layers[layer].copy
        return opaque((copy.shown(view) if view else copy.proxy).pixels).tobytes()

    def preview(self, layer: int, request: PreviewRequest, sketch: bool, stopper: Stopper) -> PreviewResult:
        """Paint a preview of an opened layer, as Engine.preview describes."""
        from plugin.engine.preview.preview_painting import paint_preview

        opened = self._layers[layer]
        painted, notes = paint_preview(opened.copy, request, sketch, stopper)
        number = next(self._numbers)
        opened.previews[number] = painted
        return PreviewResult(number, " ".join(notes))

    def mix_preview(self, layer: int, preview: int, view: LayerView, blend: BlendSettings) -> bytes:
        """Return the photo mixed with a preview, as Engine.mix_preview describes."""
        return self._layers[layer].mixed_preview(preview, view, blend)

    def forget_preview(self, layer: int, preview: int) -> None:
        """Forget a preview, unless its layer is closed already."""
        if layer in self._layers:
            del self._layers[layer].previews[preview]

    def estimate_time(self, shapes: Sequence[tuple[int, int]], recipe: Recipe, stopper: Stopper) -> Estimate:
        """Estimate how long renders take, as Engine.estimate_time describes."""
        from plugin.engine.iterative.time_estimate import estimate

        memory.keep_freed_memory()
        return estimate(shapes, recipe, stopper)

    def forget_host(self) -> None:
        """Drop the layers of a host that has gone. What failed on the GPU may be tried again for the next host."""
        self._layers.clear()
        provider.forget_cuda_problems()

    def release_memory(self) -> None:
        """Drop everything that is kept only to make the next call quicker."""
        close_sessions()
        close_networks()
        gc.collect()
        memory.give_back_freed_memory()


class _PictureProgress:
    """The progress callback of one of several pictures, which reports to the host how far all of them are."""

    def __init__(
        self, progress: ProgressCallback, index: int, count: int, show: Callable[[np.ndarray], bytes] | None
    ) -> None:
        self._progress, self._index, self._count, self._show = progress, index, count, show
        self._last, self._goes_on = 0.0, True

    def __call__(self, at: Progress) -> bool:
        now = time.monotonic()
        if at.iteration > 1 and now - self._last < REPORT_SECONDS:
            return self._goes_on
        self._last = now
        shown = self._show(at.preview) if self._show and at.preview is not None else None
        fraction = (self._index + at.fraction) / self._count
        self._goes_on = self._progress(replace(at, fraction=fraction, part=self._index, preview=None, shown=shown))
        return self._goes_on


def _painter(request: Request) -> Painter:
    if isinstance(request, FastRequest):
        return _fast_painter(request)
    if isinstance(request, InstantRequest):
        return _instant_painter(request)
    if isinstance(request, RegionsRequest):
        return _region_painter(request)
    return _mixer(request) if isinstance(request, MixRequest) else _iterative_painter(request)


def _subject(raw: RawPicture) -> Picture:
    """Return the picture to paint, with less of the style where the host protects it."""
    if raw.masks is None or raw.masks.protected is None:
        return picture_of(raw)
    from plugin.engine.regions.region_requests import protected_picture

    return protected_picture(picture_of(raw), raw)


def _region_painter(request: RegionsRequest) -> Painter:
    from plugin.engine.regions.region_requests import RegionPainter, SizedMasks

    painter = RegionPainter(request.regions, request.rest)

    def paint(picture: Picture, raw: RawPicture, progress: ProgressCallback) -> tuple[RegionsResult, bytes]:
        masks = SizedMasks(raw.masks, (raw.height, raw.width)) if raw.masks else None
        settings = RegionSettings(masks.feather if masks else 0, request.settings)
        return painter.paint(picture, masks, settings, progress), b""

    return paint


def _fast_painter(request: FastRequest) -> Painter:
    return lambda picture, _raw, progress: (paint_fast(picture, request.styles, request.settings, progress), b"")


def _instant_painter(request: InstantRequest) -> Painter:
    from plugin.engine.instant.mixed_painting import paint_mixture
    from plugin.engine.instant.style_reading import read_style_pictures

    pictures, styles = read_style_pictures(request.pictures), dict(request.styles)
    return lambda picture, _raw, progress: (paint_mixture(picture, pictures, styles, request.settings, progress), b"")


def _iterative_painter(request: IterativeRequest) -> Painter:
    from plugin.engine.imaging.kept_render import encode_render
    from plugin.engine.iterative.iterative_painting import IterativeOptions, paint_iteratively

    style_picture, options = picture_of(request.style_picture), IterativeOptions(keep_size=True)

    def painter(picture: Picture, _raw: RawPicture, progress: ProgressCallback) -> tuple[IterativeResult, bytes]:
        result = paint_iteratively(picture, style_picture, request.recipe, progress, request.blend, options)
        return result, encode_render(result.render)

    return painter


def _mixer(request: MixRequest) -> Painter:
    from plugin.engine.imaging.kept_render import decode_render, mix_render

    render = decode_render(request.render)
    return lambda picture, _raw, progress: (mix_render(picture, render, request.blend), b"")
