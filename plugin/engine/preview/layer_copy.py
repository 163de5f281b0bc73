"""A copy of a layer to preview styles on, and how pictures are shown."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from plugin.engine.imaging.picture import Picture, network_input
from plugin.engine.messages import Area, LayerView, RawPicture

# A style is sketched at this size within 300 ms on two cores.
PROXY_PIXELS = 160_000
PROXY_SIDE = 560
# Views of a large layer are made from an overview with about this many pixels, if in each direction it has this many
# times those of the view.
OVERVIEW_PIXELS = 3_000_000
OVERVIEW_SURPLUS = 1.4
# A fast and coarse reduction leaves at least this many times the final size to the fine filter after it.
COARSE_FACTOR = 2
# Pixels of the coarse picture beside a box that a filter reads: Lanczos reaches three pixels of the result.
FILTER_MARGIN = 3 * (COARSE_FACTOR + 1)
CHECK_SIZE, CHECKS = 8, (0.6, 0.4)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of linear sRGB: ITU-R BT.709
GAMMA = 2.2
Images = tuple[Image.Image, Image.Image | None]  # colours and selection


class LayerCopy:
    """A copy of a layer in eight bits, which take a quarter of the memory and look the same.

    Args:
        picture: of eight bits; its mask, the selection, decides where the style goes.
        grey: whether the layer cannot hold colours.

    Attributes:
        size: height and width.
        proxy: the whole layer and its selection, small.
        seen: returns the whole layer as a network sees it at a height and width: float32 [height, width, 3].
    """

    def __init__(self, picture: RawPicture, grey: bool = False) -> None:
        extent = picture.width, picture.height
        colours = Image.frombytes("RGBA" if picture.channels == 4 else "RGB", extent, picture.data).convert("RGBA")
        self._factor = max(1, int((picture.width * picture.height / OVERVIEW_PIXELS) ** 0.5))
        self._images: Images = colours, None
        self._overview: Images = self._reduced(colours), None
        self.size = height, width = picture.height, picture.width
        self.grey = grey
        # A painting may be looked at in many views, and a sketch has another size.
        self.seen = functools.lru_cache(2)(self._compute_seen)
        scale = min(1.0, (PROXY_PIXELS / (width * height)) ** 0.5, PROXY_SIDE / max(width, height))
        shown = max(1, round(height * scale)), max(1, round(width * scale))
        self._whole = LayerView(Area(0, 0, width, height), shown[1], shown[0])
        self.select(picture.mask)

    def select(self, selection: bytes | None) -> None:
        """Change how much of each pixel is selected, in eight bits; None stands for all of them."""
        mask = None if selection is None else Image.frombytes("L", self._images[0].size, selection)
        self._images = self._images[0], mask
        self._overview = self._overview[0], mask and self._reduced(mask)
        self.proxy = self.shown(self._whole)

    def _compute_seen(self, height: int, width: int) -> np.ndarray:
        """Return the whole layer as a network sees it at this size: float32 [height, width, 3].

        It has the filter's own precision, because the smallest variations in a flat area decide how it is painted.
        """
        colours, _mask = self._images
        coarse, box = _coarse(colours, (0, 0, *colours.size), height, width)
        return resample_box(network_input(Picture(_floats(coarse))), box, height, width)

    def part(self, x: int, y: int, width: int, height: int) -> Picture:
        """Return a rectangle of the layer, in the layer's own pixels."""
        return _picture(self._images, lambda image: image.crop((x, y, x + width, y + height)))

    def shown(self, view: LayerView) -> Picture:
        """Return a view of the layer."""
        area, factor = view.area, self._factor
        if min(area.width / view.width, area.height / view.height) < OVERVIEW_SURPLUS * factor:
            return _picture(self._images, lambda image: _viewed(image, view))
        area = Area(area.left / factor, area.top / factor, area.width / factor, area.height / factor)
        return _picture(self._overview, lambda image: _viewed(image, replace(view, area=area)))

    def _reduced(self, image: Image.Image) -> Image.Image:
        return image.reduce(self._factor) if self._factor > 1 else image


def _picture(images: Images, change: Callable[[Image.Image], Image.Image]) -> Picture:
    colours, mask = images
    return Picture(_floats(change(colours)), None if mask is None else _floats(change(mask)))


def resample_box(rgb: np.ndarray, box: tuple[float, float, float, float], height: int, width: int) -> np.ndarray:
    """Resize the part of float32 [H, W, 3] in 0..1 in a box (left, top, right, bottom), by cubic filtering."""
    left, top, right, bottom = box
    if (right - left, bottom - top) == (width, height) and all(side == int(side) for side in box):
        return rgb[int(top) : int(bottom), int(left) : int(right)]
    planes = (Image.fromarray(np.ascontiguousarray(rgb[..., channel])) for channel in range(3))
    resized = [np.asarray(plane.resize((width, height), Image.Resampling.BICUBIC, box)) for plane in planes]
    clipped: np.ndarray = np.clip(np.dstack(resized), 0, 1)
    return clipped


def opaque(pixels: np.ndarray) -> np.ndarray:
    """Draw a picture, [H, W, 4], over the checkerboard that stands for transparency: uint8 [H, W, 3]."""
    rgb, alpha = pixels[..., :3], pixels[..., 3:]
    if alpha.min() < 1:
        rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
        checks = np.where((rows // CHECK_SIZE + columns // CHECK_SIZE) % 2, *CHECKS)[..., None]
        rgb = rgb * alpha + checks * (1 - alpha)
    shown: np.ndarray = (np.clip(np.nan_to_num(rgb), 0, 1) * 255 + 0.5).astype(np.uint8)
    return shown


def greyed(pixels: np.ndarray) -> np.ndarray:
    """Replace sRGB-encoded pixels [H, W, 4] by their luminance, which is all that a greyscale layer keeps."""
    luminance = (np.clip(pixels[..., :3], 0, 1) ** GAMMA @ LUMINANCE) ** (1 / GAMMA)
    return np.dstack([luminance, luminance, luminance, pixels[..., 3]])


def _coarse(
    image: Image.Image, box: tuple[float, float, float, float], height: int, width: int
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """Reduce the part of an image in a box (left, top, right, bottom) by a whole number, to more than this size.

    Returns it with some pixels around it, and its box there.
    """
    left, top, right, bottom = box
    factor = max(1, min(int(right - left) // (COARSE_FACTOR * width), int(bottom - top) // (COARSE_FACTOR * height)))
    margin = FILTER_MARGIN * factor
    outer_left, outer_top = max(0, math.floor(left) - margin), max(0, math.floor(top) - margin)
    outer_right = min(image.width, math.ceil(right) + margin)
    outer_bottom = min(image.height, math.ceil(bottom) + margin)
    outer = outer_left, outer_top, outer_right, outer_bottom
    coarse = image.crop(outer) if factor == 1 else image.reduce(factor, outer)
    return coarse, (
        (left - outer_left) / factor,
        (top - outer_top) / factor,
        (right - outer_left) / factor,
        (bottom - outer_top) / factor,
    )


def _viewed(image: Image.Image, view: LayerView) -> Image.Image:
    area = view.area
    box = area.left, area.top, min(area.left + area.width, image.width), min(area.top + area.height, image.height)
    coarse, inner = _coarse(image, box, view.height, view.width)
    return coarse.resize((view.width, view.height), Image.Resampling.LANCZOS, inner)


def _floats(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(np.float32) / np.float32(255)
