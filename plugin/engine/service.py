"""The engine for a host without arrays: what goes in and out is plain data (see messages.py).

A host calls these functions in its own process, or those of worker.py's process, which are the same. A layer that was
opened, and what was tried on it, stay here and go by their numbers.
"""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from nst_core.base.language import _
from plugin.engine.fast.fast_painting import FastResult, forget_sessions, paint_fast
from plugin.engine.imaging.bands import bands, in_threads
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.detail import resized
from plugin.engine.imaging.picture import Picture, composite
from plugin.engine.machine import memory, provider
from plugin.engine.machine.provider import CUDA
from plugin.engine.messages import (
    Estimate,
    FastRequest,
    IterativeRequest,
    OpenedLayer,
    Painted,
    PreviewRequest,
    PreviewResult,
    RawPicture,
)
from plugin.engine.progress import Progress, ProgressCallback, Stopper, ignore

if TYPE_CHECKING:
    from nst_core.base.recipes import Recipe
    from plugin.engine.iterative.iterative_painting import IterativeResult
    from plugin.engine.preview.layer_copy import LayerCopy

# A painting in a trained style is wanted soon: what the others need is imported when they are asked for.
Painter = Callable[[Picture, ProgressCallback], "FastResult | IterativeResult"]
check_pictures = memory.check_pictures
# Between two iterations that are told; nobody looks more often.
TELLING_SECONDS = 0.1


@dataclass(eq=False)
class _Opened:
    """A layer, and by number what was tried on it: the picture that is mixed, and the painting."""

    copy: LayerCopy
    trials: dict[int, tuple[Picture, np.ndarray]] = field(default_factory=dict)


_opened: dict[int, _Opened] = {}
_numbers = itertools.count(1)


def paint(
    pictures: Sequence[RawPicture],
    how: FastRequest | IterativeRequest,
    progress: ProgressCallback = ignore,
    *,
    layers: Sequence[int] = (),
) -> list[Painted]:
    """The pictures painted. Where ``progress`` returns False, those that are not begun are left out.

    ``layers`` are opened ones to show the pictures on as they develop: ``progress`` then gets them ready to be shown,
    at the size of the layer and in its mixture of photo and painting. Raises as paint_fast and render do.
    """
    memory.keep_freed_memory()
    copies = [_opened[number].copy for number in layers]
    painter = _trained(how) if isinstance(how, FastRequest) else _from_picture(how)
    done = []
    for index, raw in enumerate(pictures):
        told = _teller(index, len(pictures), progress, how, copies[index] if copies else None)
        if not told(Progress(_("Preparing"), 0.0)):
            break
        painted = painter(_picture(raw), told)
        done.append(Painted(_raw(painted.pixels, raw.eight_bits), painted.seconds, painted.notes))
    return done


def require_torch() -> None:
    """Raise StyleError, saying how to get it, if PyTorch is not installed."""
    from plugin.engine.iterative import iterative_painting as render

    render.require_torch()


def open_layer(picture: RawPicture, grey: bool) -> OpenedLayer:
    """Keep a copy of a layer, of eight bits, to try things on. ``grey`` is whether the layer can hold no colours."""
    from plugin.engine.preview.layer_copy import LayerCopy

    memory.keep_freed_memory()
    copy, number = LayerCopy(picture, grey), next(_numbers)
    _opened[number] = _Opened(copy)
    return OpenedLayer(number, copy.proxy.width, copy.proxy.height)


def close_layer(layer: int) -> None:
    """Forget an opened layer, and all that was tried on it."""
    del _opened[layer]


def photo(layer: int, corner: tuple[int, int] | None = None) -> bytes:
    """The opened layer as it is, or the part of it with this corner, to be shown: RGB in eight bits, over checks where
    it is transparent.
    """
    from plugin.engine.preview.layer_copy import opaque

    return opaque(_opened[layer].copy.shown_part(corner).pixels).tobytes()


def try_on(layer: int, wish: PreviewRequest, sketch: bool, stopper: Stopper) -> PreviewResult:
    """Try a wish on an opened layer. A ``sketch`` is quick, but has larger strokes than it should.

    Raises StyleError as paint_fast does, and progress.Stopped if ``stopper`` stops it.
    """
    from plugin.engine.preview import preview_painting as trial

    opened = _opened[layer]
    rgb, done = trial.tried(opened.copy, wish, sketch, stopper)
    number = next(_numbers)
    opened.trials[number] = opened.copy.shown_part(wish.corner), rgb
    return PreviewResult(number, done.provider.name == CUDA, done.provider.reason)


def mix(layer: int, number: int, strength: float, keep_colors: bool) -> bytes:
    """The photo and what was tried on it, mixed as picture.composite does, to be shown as ``photo`` is."""
    opened = _opened[layer]
    return _mixed(opened.copy, *opened.trials[number], BlendSettings(strength, keep_colors))


def forget(layer: int, number: int) -> None:
    """Forget what was tried under this number, unless its layer was closed."""
    if layer in _opened:
        del _opened[layer].trials[number]


def estimate(shapes: Sequence[tuple[int, int]], recipe: Recipe, stopper: Stopper) -> Estimate:
    """How long renders of these heights and widths will take together (see estimate.py)."""
    from plugin.engine.iterative import time_estimate as estimates

    memory.keep_freed_memory()
    return estimates.estimate(shapes, recipe.settings, stopper, features=recipe.features)


def left() -> None:
    """The host is gone: so are its layers, and what failed for it may work for the next one."""
    _opened.clear()
    provider.forget_troubles()


def rest() -> None:
    """Let go of all that would only make a next call quicker."""
    forget_sessions()
    gc.collect()
    memory.give_back_freed_memory()


def _trained(how: FastRequest) -> Painter:
    return lambda picture, progress: paint_fast(picture, how.styles, how.settings, progress)


def _from_picture(how: IterativeRequest) -> Painter:
    from plugin.engine.iterative import iterative_painting as render

    style_picture = _picture(how.style_picture)

    def painter(picture: Picture, progress: ProgressCallback) -> IterativeResult:
        return render.render(
            picture,
            style_picture,
            how.recipe.settings,
            progress,
            features=how.recipe.features,
            pooling=how.recipe.pooling,
            strength=how.blend.strength,
            keep_colors=how.blend.keep_colors,
            keep_size=True,
        )

    return painter


def _picture(raw: RawPicture) -> Picture:
    kind, unit = (np.uint8, np.float32(255)) if raw.eight_bits else (np.float32, np.float32(1))
    values = np.frombuffer(raw.data, kind).reshape(raw.height, raw.width, raw.channels)
    planes = np.empty((4, raw.height, raw.width), np.float32)  # as those who resize pictures want them

    def copy(rows: slice) -> None:
        for channel in range(raw.channels):
            np.divide(values[rows, :, channel], unit, out=planes[channel, rows])
        planes[raw.channels :, rows] = 1

    in_threads(copy, bands(raw.height, raw.width))
    mask = None
    if raw.mask is not None:
        mask = np.divide(np.frombuffer(raw.mask, kind).reshape(raw.height, raw.width), unit)
    return Picture(planes.transpose(1, 2, 0), mask)


def _raw(pixels: np.ndarray, eight_bits: bool) -> RawPicture:
    height, width, channels = pixels.shape
    values = np.empty(pixels.shape, np.uint8 if eight_bits else np.float32)

    def copy(rows: slice) -> None:
        for channel in range(channels):  # each has its own plane
            plane = pixels[rows, :, channel]
            if eight_bits:
                plane = plane * np.float32(255) + np.float32(0.5)
            np.copyto(values[rows, :, channel], plane, casting="unsafe")

    in_threads(copy, bands(height, width))
    return RawPicture(width, height, channels, values.data.cast("B"), None, eight_bits)


def _mixed(copy: LayerCopy, picture: Picture, rgb: np.ndarray, blend: BlendSettings) -> bytes:
    from plugin.engine.preview.layer_copy import greyed, opaque

    mixed = composite(picture, rgb, blend)
    return opaque(greyed(mixed) if copy.grey else mixed).tobytes()


def _teller(
    index: int, count: int, progress: ProgressCallback, how: FastRequest | IterativeRequest, copy: LayerCopy | None
) -> ProgressCallback:
    """What passes on the progress of one of several pictures."""
    last, going = 0.0, True

    def tell(at: Progress) -> bool:
        nonlocal last, going
        now = time.monotonic()
        if at.iteration > 1 and now - last < TELLING_SECONDS:
            return going
        last, shown = now, None
        if at.preview is not None and copy is not None and isinstance(how, IterativeRequest):
            rgb = resized(at.preview, copy.proxy.height, copy.proxy.width)
            shown = _mixed(copy, copy.proxy, rgb, how.blend)
        fraction = (index + at.fraction) / count
        going = progress(replace(at, fraction=fraction, part=index, preview=None, shown=shown))
        return going

    return tell
