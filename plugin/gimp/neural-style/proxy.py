"""A small copy of a layer to try things on. Only for the main thread; needs the engine to be connected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gi.repository import Gegl, Gimp
from pixels import FORMAT

from plugin.engine.picture import Picture

# A style shall show up within 300 ms on two cores, where a megapixel takes about a second, and loading a part of that.
PROXY_PIXELS = 160_000
LONGEST_SIDE = 560


@dataclass(frozen=True, eq=False)
class Proxy:
    """A layer made small.

    Attributes:
        picture: its pixels as they are seen, and how much of each is selected.
        full_size: width and height of the layer itself.
        grey: whether the layer can hold no colours.
    """

    picture: Picture
    full_size: tuple[int, int]
    grey: bool

    @property
    def reduced(self) -> bool:
        """Whether it is smaller than the layer."""
        return self.picture.width < self.full_size[0]


def read_proxy(drawable: Gimp.Drawable, with_selection: bool = True) -> Proxy:
    """The layer that ``drawable`` is, or is the mask of, with at most PROXY_PIXELS. Cheap even for a large one.

    ``with_selection`` is whether the selection decides where the style goes.
    """
    layer = Gimp.Layer.from_mask(drawable) if drawable.is_layer_mask() else drawable
    width, height = layer.get_width(), layer.get_height()
    scale = min(1.0, (PROXY_PIXELS / (width * height)) ** 0.5, LONGEST_SIDE / max(width, height))
    pixels = _seen(layer, scale)
    mask = None
    image = layer.get_image()
    if with_selection and not Gimp.Selection.is_empty(image):
        _, x, y = layer.get_offsets()
        buffer = image.get_selection().get_buffer()
        mask = _read(buffer, x, y, width, height, scale, "Y float", 1)[..., 0]
    return Proxy(Picture(pixels, mask), (width, height), layer.is_gray())


def _seen(layer: Gimp.Drawable, scale: float) -> np.ndarray:
    size = (0, 0, layer.get_width(), layer.get_height())
    if not layer.is_layer() or not layer.get_filters():
        return _read(layer.get_buffer(), *size, scale, FORMAT, 4)
    copy = layer.copy()
    try:
        copy.merge_filters()
        return _read(copy.get_buffer(), *size, scale, FORMAT, 4)
    finally:
        copy.delete()


def _read(
    buffer: Gegl.Buffer, x: int, y: int, width: int, height: int, scale: float, form: str, channels: int
) -> np.ndarray:
    """[height, width, channels], each extent times ``scale``."""
    place = [round(extent * scale) for extent in (x, y)] + [max(1, round(extent * scale)) for extent in (width, height)]
    data = buffer.get(Gegl.Rectangle.new(*place), scale, form, Gegl.AbyssPolicy.NONE)
    return np.frombuffer(data, np.float32).reshape(place[3], place[2], channels)
