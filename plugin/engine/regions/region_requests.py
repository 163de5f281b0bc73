"""Paint what hosts request: regions and protection, by the masks that they send."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plugin.engine.imaging.picture import Picture
from plugin.engine.instant.style_reading import read_style_pictures
from plugin.engine.messages import Area, Masks, PicturePath, RawPicture, RegionStyleChoice
from plugin.engine.progress import ProgressCallback, Stopper, ignore
from plugin.engine.regions.masks import feathered, protected, resized_mask
from plugin.engine.regions.region_painting import (
    Region,
    RegionsResult,
    RegionStyle,
    StylePictures,
    TrainedStyles,
    paint_regions,
)
from plugin.engine.regions.region_settings import RegionSettings


class SizedMasks:
    """The masks that a host sent, for a picture of some size.

    Args:
        masks: of the whole picture or layer.
        size: the height and width of the picture that is painted.
        part: the rectangle of the whole that the picture shows, in shares of the whole; None for all of it.

    Attributes:
        feather: in pixels of that picture, which shows a layer of ``whole_width`` pixels.
    """

    def __init__(self, masks: Masks, size: tuple[int, int], whole_width: float = 0.0, part: Area | None = None) -> None:
        self._masks, self._size, self._part = masks, size, part
        shown = size[1] / (part.width if part else 1.0)
        self.feather = round(masks.feather * (shown / whole_width if whole_width else 1.0))

    @property
    def regions(self) -> list[np.ndarray]:
        """The mask of each region, float32 [H, W] in 0..1."""
        return [self._read(mask) for mask in self._masks.regions]

    def protect(self, picture: Picture) -> Picture:
        """Return the picture with less of the style where it is protected."""
        if self._masks.protected is None:
            return picture
        mask = feathered(self._read(self._masks.protected), self.feather)
        return protected(picture, mask, self._masks.protected_strength)

    def _read(self, data: bytes) -> np.ndarray:
        mask = np.frombuffer(data, np.uint8).reshape(self._masks.height, self._masks.width)
        if self._part:
            height, width = mask.shape
            top, left = round(self._part.top * height), round(self._part.left * width)
            bottom, right = (
                max(start + 1, round((begin + extent) * length))
                for start, begin, extent, length in (
                    (top, self._part.top, self._part.height, height),
                    (left, self._part.left, self._part.width, width),
                )
            )
            mask = mask[top:bottom, left:right]
        return resized_mask(mask.astype(np.float32) / np.float32(255), *self._size)


def protected_picture(picture: Picture, raw: RawPicture) -> Picture:
    """Return the picture that a host sent as ``raw``, with less of the style where the host protects it."""
    return picture if raw.masks is None else SizedMasks(raw.masks, (raw.height, raw.width)).protect(picture)


class RegionPainter:
    """Paints pictures whose regions have the styles that a host requested. Raises StyleError if one cannot be read."""

    def __init__(self, regions: Sequence[RegionStyleChoice], rest: RegionStyleChoice) -> None:
        self._read: dict[RegionStyleChoice, RegionStyle] = {}
        self._regions, self._rest = [self._style(choice) for choice in regions], self._style(rest)

    def paint(
        self,
        picture: Picture,
        masks: SizedMasks | None,
        settings: RegionSettings,
        progress: ProgressCallback = ignore,
        stopper: Stopper | None = None,
    ) -> RegionsResult:
        """Paint a picture by its masks, one for each region. Raises StyleError and StoppedError as paint_regions."""
        regions = [
            Region(mask, style) for mask, style in zip(masks.regions if masks else [], self._regions, strict=True)
        ]
        return paint_regions(picture, regions, self._rest, settings, progress, stopper)

    def _style(self, choice: RegionStyleChoice) -> RegionStyle:
        """Return a style, the same object for the same choice."""
        if choice not in self._read:
            if choice is None:
                self._read[choice] = None
            elif isinstance(choice, PicturePath | RawPicture):
                self._read[choice] = StylePictures(read_style_pictures([(choice, 1.0)]))
            else:
                self._read[choice] = TrainedStyles(dict(choice))
        return self._read[choice]
