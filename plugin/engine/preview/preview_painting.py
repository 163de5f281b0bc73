"""How a wish looks, tried on a copy of a layer."""

from __future__ import annotations

import numpy as np

from plugin.engine.fast.fast_painting import FastResult, paint_fast
from plugin.engine.fast.fast_settings import FastSettings, seen_size
from plugin.engine.imaging.detail import enlarged, resized
from plugin.engine.imaging.picture import Picture, network_input
from plugin.engine.messages import PreviewRequest
from plugin.engine.preview.layer_copy import LayerCopy
from plugin.engine.progress import Stopper

# Around a part of the layer, in its pixels: what the network looks at beside it.
SURROUNDINGS = 224
AS_IT_IS = FastSettings(full_resolution=True)


def paint_preview(
    copy: LayerCopy, wish: PreviewRequest, sketch: bool, stopper: Stopper
) -> tuple[np.ndarray, FastResult]:
    """How ``wish`` looks at full strength: float32 RGB of the size of ``copy.proxy``, and the run that it comes from.

    A ``sketch`` of the whole is painted at that size too, which is quick, but has larger strokes than it should.
    Raises as paint_fast does.
    """
    if wish.corner:
        return _part(copy, wish, *wish.corner, stopper)
    proxy = copy.proxy
    if sketch:
        done = paint_fast(Picture(proxy.pixels), dict(wish.styles), AS_IT_IS, stopper=stopper)
        return done.pixels[..., :3], done
    # As paint_fast does, but that the painting comes to the proxy's size and not to the layer's.
    seen = copy.seen(*seen_size(*copy.size, wish.settings))
    opaque = np.dstack([seen, np.ones_like(seen[..., :1])])
    done = paint_fast(Picture(opaque), dict(wish.styles), AS_IT_IS, stopper=stopper)
    painted = done.pixels[..., :3]
    if painted.shape[0] < proxy.height:
        return enlarged(painted, seen, network_input(proxy)), done
    return resized(painted, proxy.height, proxy.width), done


def _part(copy: LayerCopy, wish: PreviewRequest, x: int, y: int, stopper: Stopper) -> tuple[np.ndarray, FastResult]:
    shown, (height, width) = copy.proxy, copy.size
    left, top = max(0, x - SURROUNDINGS), max(0, y - SURROUNDINGS)
    right, bottom = min(width, x + shown.width + SURROUNDINGS), min(height, y + shown.height + SURROUNDINGS)
    part = copy.part(left, top, right - left, bottom - top)
    done = paint_fast(Picture(part.pixels), dict(wish.styles), wish.settings, stopper=stopper)
    return done.pixels[y - top :, x - left :][: shown.height, : shown.width, :3], done
