"""Paint a preview of a layer's copy."""

from __future__ import annotations

import numpy as np

from plugin.engine.fast.fast_painting import FastResult, paint_fast
from plugin.engine.fast.fast_settings import FastSettings, working_size
from plugin.engine.imaging.detail import enlarge_painting
from plugin.engine.imaging.picture import Picture, network_input
from plugin.engine.imaging.resampling import resample_picture
from plugin.engine.messages import PreviewRequest
from plugin.engine.preview.layer_copy import LayerCopy
from plugin.engine.progress import Stopper

# Pixels around a part of the layer that the network sees too.
MARGIN = 224


def paint_preview(
    copy: LayerCopy, request: PreviewRequest, sketch: bool, stopper: Stopper
) -> tuple[np.ndarray, FastResult]:
    """Paint a preview at full strength: float32 RGB of the size of ``copy.proxy``, and the run that it comes from.

    A ``sketch`` of the whole layer is painted at that size too, which is quick, but gives strokes that are too large.
    Raises StyleError and progress.StoppedError as paint_fast does.
    """
    if request.corner:
        return _paint_part(copy, request, *request.corner, stopper)
    proxy = copy.proxy
    # The network paints the picture that it is given at that picture's own size.
    own_size = FastSettings(full_resolution=True, detail=request.detail)
    if sketch:
        result = paint_fast(Picture(proxy.pixels), dict(request.styles), own_size, stopper=stopper)
        return result.pixels[..., :3], result
    # As paint_fast does, except that the painting gets the proxy's size and not the layer's.
    seen = copy.seen(*working_size(*copy.size, request.settings))
    opaque = np.dstack([seen, np.ones_like(seen[..., :1])])
    result = paint_fast(Picture(opaque), dict(request.styles), own_size, stopper=stopper)
    painted = result.pixels[..., :3]
    if painted.shape[0] < proxy.height:
        return enlarge_painting(painted, seen, network_input(proxy)), result
    return resample_picture(painted, proxy.height, proxy.width), result


def _paint_part(
    copy: LayerCopy, request: PreviewRequest, x: int, y: int, stopper: Stopper
) -> tuple[np.ndarray, FastResult]:
    """Paint the part of the layer that begins at (x, y), as large as the proxy, at full resolution."""
    proxy, (height, width) = copy.proxy, copy.size
    left, top = max(0, x - MARGIN), max(0, y - MARGIN)
    right, bottom = min(width, x + proxy.width + MARGIN), min(height, y + proxy.height + MARGIN)
    part = copy.part(left, top, right - left, bottom - top)
    result = paint_fast(Picture(part.pixels), dict(request.styles), request.settings, stopper=stopper)
    return result.pixels[y - top :, x - left :][: proxy.height, : proxy.width, :3], result
