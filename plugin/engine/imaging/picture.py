"""The picture type that every host gives to the engine, and what networks see of it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from plugin.engine.imaging.bands import bands, in_threads
from plugin.engine.imaging.picture_rows import whole_picture

# The values of white in the kinds of pixels that a picture may have.
WHITES: dict[type[np.generic], float] = {np.uint8: 255.0, np.uint16: 65535.0, np.float32: 1.0}


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and its selection. Raises TypeError for arrays of another kind, StyleError for an empty picture.

    Attributes:
        values: the pixels as they are kept, uint8, uint16 or float32 [H, W, 4], sRGB-encoded RGB and straight (not
            premultiplied) alpha, or [H, W, 3] without alpha. Floats have the range 0..1, integers their whole range.
        mask: float32 [H, W] in 0..1, how much of each pixel is selected, or None for a picture that is selected whole.
    """

    values: np.ndarray
    mask: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = self.values.shape
        if len(shape) != 3 or shape[2] not in (3, 4) or self.values.dtype.type not in WHITES:
            raise TypeError(f"a picture is float32 or unsigned [H, W, 3 or 4], not {self.values.dtype} {list(shape)}")
        if self.mask is not None and self.mask.shape != shape[:2]:
            raise TypeError(f"the mask is {list(self.mask.shape)}, the picture {list(shape[:2])}")
        if 0 in shape:
            raise StyleError(_("The picture is empty; choose one with at least one pixel."))

    @property
    def height(self) -> int:
        """The number of rows."""
        return int(self.values.shape[0])

    @property
    def width(self) -> int:
        """The number of columns."""
        return int(self.values.shape[1])

    @functools.cached_property
    def pixels(self) -> np.ndarray:
        """All pixels as float32 [H, W, 4]. They take 16 bytes each, so large pictures are read with ``rows``."""
        if self._is_float_with_alpha:
            return self.values
        planes = np.empty((4, self.height, self.width), np.float32)  # the layout that resizing needs
        in_threads(lambda rows: self._convert(rows, planes[:, rows]), bands(self.height, self.width))
        return planes.transpose(1, 2, 0)

    def rows(self, rows: slice) -> np.ndarray:
        """Return rows of the pixels, float32 [rows, W, 4], sRGB-encoded RGB and straight alpha."""
        if self._is_float_with_alpha:
            part: np.ndarray = self.values[rows]
            return part
        planes = np.empty((4, *self.values[rows].shape[:2]), np.float32)
        self._convert(rows, planes)
        return planes.transpose(1, 2, 0)

    @property
    def _is_float_with_alpha(self) -> bool:
        return self.values.dtype == np.float32 and self.values.shape[2] == 4

    def _convert(self, rows: slice, planes: np.ndarray) -> None:
        """Write rows into [4, rows, W]."""
        white, channels = np.float32(WHITES[self.values.dtype.type]), self.values.shape[2]
        for channel in range(channels):
            np.divide(self.values[rows, :, channel], white, out=planes[channel])
        planes[channels:] = 1


class NetworkInput:
    """A picture as networks see it: RGB, finite and in 0..1, in rows (see picture_rows.PictureRows).

    Transparent pixels take the mean visible colour, so the colours under them do not bleed into the painting.
    """

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self.height, self.width = picture.height, picture.width
        # Opaque, and in range: then the picture's own pixels are returned.
        self.is_plain = picture.values.shape[2] == 3 and picture.values.dtype != np.float32
        self._colour = np.zeros(3, np.float32)
        if not self.is_plain:
            self._measure()

    def _measure(self) -> None:
        """Find out whether the picture is opaque and in range, and its mean visible colour."""
        plain: list[bool] = []
        sums: list[np.ndarray] = []

        def add(rows: slice) -> None:
            band = self._picture.rows(rows)
            plain.append(bool(band.min() >= 0 and band.max() <= 1 and band[..., 3].min() == 1))  # False for a NaN
            if not plain[-1]:
                rgb, alpha = _limited(band)
                visible = (rgb * alpha).sum((0, 1), np.float64)
                sums.append(np.array([*visible, alpha.sum(dtype=np.float64), *rgb.sum((0, 1), np.float64)]))
            else:
                total = band[..., :3].sum((0, 1), np.float64)
                sums.append(np.array([*total, band.shape[0] * band.shape[1], *total]))

        in_threads(add, bands(self.height, self.width))
        self.is_plain = all(plain)
        total = np.sum(sums, 0)
        mean = total[:3] / total[3] if total[3] > 0 else total[4:] / (self.height * self.width)
        self._colour = mean.astype(np.float32)

    def rows(self, rows: slice) -> np.ndarray:
        """Return rows as float32 [rows, W, 3]. Those of an opaque picture of floats in range are not copied."""
        band = self._picture.rows(rows)
        if self.is_plain:
            return band[..., :3]
        rgb, alpha = _limited(band)
        mixed: np.ndarray = rgb * alpha + self._colour * (1 - alpha)
        return mixed


def _limited(band: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return RGB, [rows, W, 3], and alpha, [rows, W, 1], finite and in 0..1."""
    # fmax and fmin replace a NaN by the other value.
    rgb = np.fmin(np.fmax(band[..., :3], np.float32(0)), np.float32(1))
    return rgb, np.clip(band[..., 3:], 0.0, 1.0)


def network_input(picture: Picture) -> np.ndarray:
    """Return all of ``NetworkInput``: float32 [H, W, 3]. An opaque picture of floats in 0..1 is not copied."""
    rows = NetworkInput(picture)
    if picture.values.dtype == np.float32 and picture.values.shape[2] == 4 and rows.is_plain:
        return picture.values[..., :3]
    return whole_picture(rows)
