"""A copy of a layer to try things on. Needs the engine to be connected."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pixels
from gi.repository import Gimp
from PIL import Image

from plugin.engine.picture import Picture, network_input

# What the dialog has room for; a style is tried on as much within 300 ms on two cores.
PROXY_PIXELS = 160_000
LONGEST_SIDE = 560
# Between a fast and coarse filter, and the fine one after it.
GAP = 2


class LayerCopy:
    """The layer that ``drawable`` is, or is the mask of, as it is seen, in eight bits. Make it in the main thread.

    Args:
        drawable: from GIMP.
        with_selection: whether the selection decides where the style goes.

    Attributes:
        size: height and width.
        grey: whether the layer can hold no colours.
        proxy: the whole at the size to show, and how much of each pixel is selected.
    """

    def __init__(self, drawable: Gimp.Drawable, with_selection: bool = True) -> None:
        (layer,) = pixels.layers_of([drawable])
        # Eight bits are a quarter of the memory, read in a fraction of the time, and as good to look at. Reading them
        # at another size would be faster still, but gives black where GIMP has not made that size yet.
        colours, mask = pixels.read_bytes(layer, with_selection)
        self._colours = Image.fromarray(colours)
        self._mask = None if mask is None else Image.fromarray(mask)
        height, width = colours.shape[:2]
        self.size = height, width
        self.grey = layer.is_gray()
        scale = min(1.0, (PROXY_PIXELS / (width * height)) ** 0.5, LONGEST_SIDE / max(width, height))
        shown = max(1, round(height * scale)), max(1, round(width * scale))
        self.proxy = self._picture(lambda image: _scaled(image, *shown))

    def seen(self, height: int, width: int) -> np.ndarray:
        """What the network sees of the whole at this size: float32 [height, width, 3].

        To the filter's own precision, because flat areas are painted by the least that there is in them.
        """
        coarse, box = _coarse(self._colours, height, width)
        rgb = network_input(Picture(_floats(coarse)))
        planes = (Image.fromarray(np.ascontiguousarray(rgb[..., channel])) for channel in range(3))
        fine = [np.asarray(plane.resize((width, height), Image.Resampling.LANCZOS, box)) for plane in planes]
        return np.clip(np.dstack(fine), 0, 1)

    def part(self, x: int, y: int, width: int, height: int) -> Picture:
        """What lies there, in the layer's pixels, as it is."""
        return self._picture(lambda image: image.crop((x, y, x + width, y + height)))

    def _picture(self, change: Callable[[Image.Image], Image.Image]) -> Picture:
        mask = None if self._mask is None else _floats(change(self._mask))
        return Picture(_floats(change(self._colours)), mask)


def _coarse(image: Image.Image, height: int, width: int) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """The image some whole number of times smaller, but larger than this, and what of that it fills."""
    times = max(1, min(image.width // (GAP * width), image.height // (GAP * height)))
    return image.reduce(times), (0, 0, image.width / times, image.height / times)


def _scaled(image: Image.Image, height: int, width: int) -> Image.Image:
    coarse, box = _coarse(image, height, width)
    return coarse.resize((width, height), Image.Resampling.LANCZOS, box)


def _floats(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(np.float32) / np.float32(255)
