"""A copy of a layer to preview styles on, and how pictures are shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from plugin.engine.imaging.picture import Picture, network_input
from plugin.engine.messages import RawPicture

# As large as a dialog has room for. A style is previewed at this size within 300 ms on two cores.
PROXY_PIXELS = 160_000
LONGEST_SIDE = 560
# A fast and coarse reduction leaves at least this many times the final size to the fine filter after it.
COARSE_FACTOR = 2
CHECK_SIZE, CHECKS = 8, (0.6, 0.4)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of linear sRGB: ITU-R BT.709
GAMMA = 2.2


class LayerCopy:
    """A copy of a layer in eight bits, which take a quarter of the memory and look the same.

    Args:
        picture: of eight bits; its mask, the selection, decides where the style goes.
        grey: whether the layer cannot hold colours.

    Attributes:
        size: height and width.
        proxy: the whole layer and its selection, at the size to show.
    """

    def __init__(self, picture: RawPicture, grey: bool = False) -> None:
        extent = picture.width, picture.height
        colours = Image.frombytes("RGBA" if picture.channels == 4 else "RGB", extent, picture.data)
        self._colours = colours.convert("RGBA")
        self._mask = None if picture.mask is None else Image.frombytes("L", extent, picture.mask)
        self.size = height, width = picture.height, picture.width
        self.grey = grey
        scale = min(1.0, (PROXY_PIXELS / (width * height)) ** 0.5, LONGEST_SIDE / max(width, height))
        shown = max(1, round(height * scale)), max(1, round(width * scale))
        self.proxy = self._picture(lambda image: _scaled(image, *shown))

    def seen(self, height: int, width: int) -> np.ndarray:
        """Return the whole layer as a network sees it at this size: float32 [height, width, 3].

        It has the filter's own precision, because the smallest variations in a flat area decide how it is painted.
        """
        coarse, box = _coarse(self._colours, height, width)
        rgb = network_input(Picture(_floats(coarse)))
        planes = (Image.fromarray(np.ascontiguousarray(rgb[..., channel])) for channel in range(3))
        fine = [np.asarray(plane.resize((width, height), Image.Resampling.BICUBIC, box)) for plane in planes]
        seen: np.ndarray = np.clip(np.dstack(fine), 0, 1)
        return seen

    def part(self, x: int, y: int, width: int, height: int) -> Picture:
        """Return a rectangle of the layer, in the layer's own pixels."""
        return self._picture(lambda image: image.crop((x, y, x + width, y + height)))

    def shown_part(self, corner: tuple[int, int] | None) -> Picture:
        """Return the part of the layer that is shown from this corner on, or the small whole layer without a corner."""
        return self.part(*corner, self.proxy.width, self.proxy.height) if corner else self.proxy

    def _picture(self, change: Callable[[Image.Image], Image.Image]) -> Picture:
        mask = None if self._mask is None else _floats(change(self._mask))
        return Picture(_floats(change(self._colours)), mask)


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


def _coarse(image: Image.Image, height: int, width: int) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """Reduce an image by a whole number, to more than this size. Return it, and the box that the image fills in it."""
    factor = max(1, min(image.width // (COARSE_FACTOR * width), image.height // (COARSE_FACTOR * height)))
    return image.reduce(factor), (0, 0, image.width / factor, image.height / factor)


def _scaled(image: Image.Image, height: int, width: int) -> Image.Image:
    coarse, box = _coarse(image, height, width)
    return coarse.resize((width, height), Image.Resampling.LANCZOS, box)


def _floats(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(np.float32) / np.float32(255)
