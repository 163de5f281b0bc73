"""Paint a preview of a layer's copy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from plugin.engine.fast.fast_painting import FastResult, paint_fast
from plugin.engine.fast.fast_settings import FastSettings, working_size
from plugin.engine.imaging.detail import CELL, enlarge_painting
from plugin.engine.imaging.kept_render import decode_render
from plugin.engine.imaging.picture import Picture, network_input
from plugin.engine.imaging.recolouring import luminance_difference
from plugin.engine.instant.instant_painting import InstantResult
from plugin.engine.instant.instant_settings import InstantSettings
from plugin.engine.instant.mixed_painting import paint_mixture
from plugin.engine.instant.style_reading import read_style_pictures
from plugin.engine.messages import Area, LayerView, PreviewRequest, RegionStyleChoice
from plugin.engine.preview.layer_copy import LayerCopy, resample_box
from plugin.engine.progress import Stopper
from plugin.engine.regions.region_painting import RegionsResult
from plugin.engine.regions.region_requests import RegionPainter, SizedMasks
from plugin.engine.regions.region_settings import RegionSettings

# Pixels around an area of the layer that the network sees too.
VIEW_MARGIN = 224
# Cells of a painting around a view that its enlargement depends on, and more of them to choose a border from.
MARGIN_CELLS, CHOICES = 3, 8


@dataclass(frozen=True, eq=False)
class PaintedArea:
    """A painting of an area of a layer, at full strength.

    Attributes:
        area: in the layer's pixels.
        painted: [h, w, 3] at the size at which the network worked, in eight bits, because many paintings are kept.
    """

    area: Area
    painted: np.ndarray

    def shown(self, copy: LayerCopy, view: LayerView) -> np.ndarray:
        """Return a view of the painting, which is enlarged as the filter's result is: [H, W, 3]."""
        height, width = self.painted.shape[:2]
        down, across = height / self.area.height, width / self.area.width
        left, top = (view.area.left - self.area.left) * across, (view.area.top - self.area.top) * down
        right, bottom = left + view.area.width * across, top + view.area.height * down
        box = left, top, min(right, width), min(bottom, height)
        if view.height <= math.ceil(bottom - top) and view.width <= math.ceil(right - left):
            return resample_box(_floats(self.painted), box, view.height, view.width)
        return self._enlarged(copy, view, box)

    def luminance_difference(self, copy: LayerCopy, view: LayerView) -> np.ndarray | None:
        """Return by how much the photo is lighter in a view: [H, W]; None if only a part of the layer was painted."""
        height, width = copy.size
        if self.area != Area(0, 0, width, height):
            return None
        proxy = copy.proxy
        rows, columns = self.painted.shape[:2]
        painted = resample_box(_floats(self.painted), (0, 0, columns, rows), proxy.height, proxy.width)
        whole = luminance_difference(proxy.pixels, painted)
        down, across = proxy.height / height, proxy.width / width
        left, top = view.area.left * across, view.area.top * down
        right = min(proxy.width, left + view.area.width * across)
        bottom = min(proxy.height, top + view.area.height * down)
        shown = Image.fromarray(whole).resize(
            (view.width, view.height), Image.Resampling.BICUBIC, (left, top, right, bottom)
        )
        return np.asarray(shown)

    def _enlarged(self, copy: LayerCopy, view: LayerView, box: tuple[float, float, float, float]) -> np.ndarray:
        height, width = self.painted.shape[:2]
        rows, top, shown_height = _around(box[1], box[3], height, view.height)
        columns, left, shown_width = _around(box[0], box[2], width, view.width)
        # The same part of the photo, at the view's scale.
        down, across = view.area.height / view.height, view.area.width / view.width
        area = Area(
            max(0.0, view.area.left + left * across),
            max(0.0, view.area.top + top * down),
            shown_width * across,
            shown_height * down,
        )
        photo = network_input(copy.shown(LayerView(area, shown_width, shown_height)))
        seen = copy.seen(height, width)[rows, columns]
        enlarged = enlarge_painting(_floats(self.painted[rows, columns]), seen, photo)
        return enlarged[-top : view.height - top, -left : view.width - left]


def paint_preview(
    copy: LayerCopy, request: PreviewRequest, sketch: bool, stopper: Stopper
) -> tuple[PaintedArea, list[str]]:
    """Paint a preview at full strength. Return it, and sentences that the user should see.

    A ``sketch`` of the whole layer is painted at the size of ``copy.proxy``, which is quick, but gives strokes that are
    too large. Raises StyleError and progress.StoppedError as paint_fast does.
    """
    height, width = copy.size
    if request.render:
        return PaintedArea(Area(0, 0, width, height), _eight_bits(decode_render(request.render))), []
    if request.area:
        return _paint_part(copy, request, request.area, stopper)
    # The network paints the picture that it is given at that picture's own size.
    own_size = FastSettings(full_resolution=True, detail=request.detail)
    # As paint_fast does, except that the painting keeps the size at which the network works.
    seen = network_input(copy.proxy) if sketch else copy.seen(*working_size(height, width, request.settings))
    opaque = np.dstack([seen, np.ones_like(seen[..., :1])])
    masks = SizedMasks(request.masks, seen.shape[:2], width) if request.masks else None
    result = _painted(_protected(Picture(opaque), masks), request, own_size, masks, stopper)
    return PaintedArea(Area(0, 0, width, height), _eight_bits(result.pixels)), list(result.notes)


def _protected(picture: Picture, masks: SizedMasks | None) -> Picture:
    return masks.protect(picture) if masks else picture


def _painted(
    picture: Picture, request: PreviewRequest, settings: FastSettings, masks: SizedMasks | None, stopper: Stopper
) -> FastResult | InstantResult | RegionsResult:
    """Paint a picture in the styles of a request."""
    styles = dict(request.styles)
    if request.regions or not (request.styles or request.pictures):
        rest: RegionStyleChoice = request.pictures[0][0] if request.pictures else request.styles or None
        own = RegionSettings(
            masks.feather if masks else 0, InstantSettings(request.motifs, request.brushwork, settings)
        )
        return RegionPainter(request.regions, rest).paint(picture, masks, own, stopper=stopper)
    if not request.pictures:
        return paint_fast(picture, styles, settings, stopper=stopper)
    instant = InstantSettings(request.motifs, request.brushwork, settings)
    return paint_mixture(picture, read_style_pictures(request.pictures), styles, instant, stopper=stopper)


def _paint_part(
    copy: LayerCopy, request: PreviewRequest, area: Area, stopper: Stopper
) -> tuple[PaintedArea, list[str]]:
    """Paint an area of the layer at full resolution."""
    height, width = copy.size
    left, top = max(0, int(area.left) - VIEW_MARGIN), max(0, int(area.top) - VIEW_MARGIN)
    right = min(width, math.ceil(area.left + area.width) + VIEW_MARGIN)
    bottom = min(height, math.ceil(area.top + area.height) + VIEW_MARGIN)
    part = copy.part(left, top, right - left, bottom - top)
    shown = Area(left / width, top / height, (right - left) / width, (bottom - top) / height)
    masks = SizedMasks(request.masks, part.pixels.shape[:2], width, shown) if request.masks else None
    result = _painted(_protected(Picture(part.pixels), masks), request, request.settings, masks, stopper)
    return PaintedArea(Area(left, top, right - left, bottom - top), _eight_bits(result.pixels)), list(result.notes)


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    values: np.ndarray = (pixels[..., :3] * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return values


def _floats(values: np.ndarray) -> np.ndarray:
    pixels: np.ndarray = values / np.float32(255)
    return pixels


def _around(start: float, end: float, length: int, shown: int) -> tuple[slice, int, int]:
    """Return whole cells around a stretch of a painting, and where they lie in the view: first pixel, and number.

    Args:
        start: where the stretch begins.
        end: where it ends.
        length: the painting's.
        shown: the number of pixels at which the stretch is shown.
    """
    scale = shown / (end - start)

    def fraction(border: int) -> float:
        position = (border - start) * scale
        return abs(position - round(position))

    # The stretch is enlarged to whole pixels, so it must begin and end near the edge of one to lie where it should.
    first, last = (math.floor(start / CELL) - MARGIN_CELLS) * CELL, (math.ceil(end / CELL) + MARGIN_CELLS) * CELL
    first = min((max(0, first - choice * CELL) for choice in range(CHOICES)), key=fraction)
    last = min((min(length, last + choice * CELL) for choice in range(CHOICES)), key=fraction)
    left, right = min(0, round((first - start) * scale)), max(shown, round((last - start) * scale))
    return slice(first, last), left, right - left
