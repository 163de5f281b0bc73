"""Hold the strokes of a film still on what they are painted on.

A network makes ten times as much of a film's noise as it is, so each frame by itself gets other strokes. Averaging the
frames along the motion blurs them. So every eighth frame is an anchor: those that follow show its strokes, moved along
with the picture, while the next anchor's strokes appear bit by bit. Each stroke is resampled only once, which keeps it
sharp. Where the picture changes or something new comes into view, the frame's own painting shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from plugin.engine.imaging.picture import Picture

# Frames from one anchor to the next. Longer is steadier, until the errors of the motion add up.
ANCHOR_FRAMES = 8
# The difference of colours in 0..1 at which a place counts as changed: several times a camera's noise.
CHANGE = 0.1
CHANGE_SIGMA = 1.5  # pixels over which the difference is averaged, against noise
# A new scene begins where the motion explains less than this share of the picture.
SAME_SCENE = 0.3
# Pixels at which motion is measured, at most. A larger picture takes longer and gains little.
FLOW_PIXELS = 500_000

Paint = Callable[[Picture], np.ndarray]
"""Paints a picture: float32 [H, W, 4]."""


@dataclass(eq=False)
class _Anchor:
    """A painted frame, and where each place of the current frame was in it.

    Attributes:
        number: the number of the frame.
        photo, painting: float32 [H, W, 3].
        places: float32 [H, W, 2], for each pixel of the current frame its x and y in the anchor.
        seen: float32 [H, W], 1 where the anchor shows the place, 0 where the place was outside.
    """

    number: int
    photo: np.ndarray
    painting: np.ndarray
    places: np.ndarray
    seen: np.ndarray


def first_remembered(number: int) -> int:
    """Return the first frame on which the painting of frame ``number`` depends: one before the last anchor but one."""
    return max(0, (number // ANCHOR_FRAMES - 1) * ANCHOR_FRAMES - 1)


class Steadier:
    """Takes the frames of a film one after another and returns their paintings, steadied.

    ``steady`` in percent is how much of the anchors' strokes replaces the frame's own.
    """

    def __init__(self, steady: float) -> None:
        import cv2

        self._share = steady / 100.0
        self._flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._anchors: list[_Anchor] = []
        self._photo: np.ndarray | None = None

    def follow(self, number: int, picture: Picture, paint: Paint) -> None:
        """Take a frame that is painted already, to continue after it. Only an anchor is painted once more."""
        photo = self._advance(picture)
        if self._is_anchor(number):
            self._add_anchor(number, photo, paint(picture))

    def steady(self, number: int, picture: Picture, painted: np.ndarray) -> np.ndarray:
        """Return the steadied painting of frame ``number``. The painting and the result are float32 [H, W, 4]."""
        photo = self._advance(picture)
        if self._is_anchor(number):
            self._add_anchor(number, photo, painted)
        own = painted[..., :3]
        result = own.copy()
        for anchor, weight in zip(self._anchors, self._weights(number), strict=True):
            if weight and anchor.number != number:
                kept = (np.float32(weight * self._share) * _unchanged(anchor, photo))[..., None]
                result += kept * (_moved(anchor.painting, anchor.places, sharp=True) - own)
        return np.dstack([result.clip(0, 1, out=result), painted[..., 3]])

    def _is_anchor(self, number: int) -> bool:
        return not self._anchors or number % ANCHOR_FRAMES == 0

    def _weights(self, number: int) -> list[float]:
        """Return the weights of the newest anchor and of the one before it, which fades out."""
        if len(self._anchors) == 1:
            return [1.0]
        newest = min(1.0, (number - self._anchors[0].number) / ANCHOR_FRAMES)
        return [newest, 1.0 - newest]

    def _add_anchor(self, number: int, photo: np.ndarray, painted: np.ndarray) -> None:
        anchor = _Anchor(number, photo, painted[..., :3], _own_places(photo), np.ones(photo.shape[:2], np.float32))
        self._anchors = [anchor, *self._anchors[:1]]

    def _advance(self, picture: Picture) -> np.ndarray:
        """Move the anchors' places to the next frame, and forget them if it begins a new scene. Return its photo."""
        photo, before = picture.pixels[..., :3], self._photo
        self._photo = photo
        if before is None or before.shape != photo.shape:
            self._anchors = []
            return photo
        places = self._motion(photo, before)
        previous = _Anchor(0, before, before, places, _inside(places))
        if _unchanged(previous, photo).mean() < SAME_SCENE:
            self._anchors = []
        for anchor in self._anchors:
            anchor.places = _moved(anchor.places, places)
            anchor.seen = _moved(anchor.seen, places) * previous.seen
        return photo

    def _motion(self, photo: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Return for each pixel of ``photo`` its place in ``before``, [H, W, 2], by DIS optical flow.

        Kroeger et al., "Fast Optical Flow using Dense Inverse Search" (2016, arXiv 1603.03590).
        """
        import cv2

        height, width = photo.shape[:2]
        scale = min(1.0, (FLOW_PIXELS / (height * width)) ** 0.5)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        if min(size) < 16:  # too small for the patches of the search
            return _own_places(photo)
        flow = self._flow.calc(_grey(photo, size), _grey(before, size), None)
        if scale < 1:
            flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
            flow *= np.array([width / size[0], height / size[1]], np.float32)
        places: np.ndarray = _own_places(photo) + flow
        return places


def _grey(photo: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return 8-bit luminance at ``size``, width and height."""
    import cv2

    grey = cv2.cvtColor(np.ascontiguousarray(photo), cv2.COLOR_RGB2GRAY)
    if (grey.shape[1], grey.shape[0]) != size:
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    values: np.ndarray = np.round(grey.clip(0, 1) * 255).astype(np.uint8)
    return values


def _own_places(photo: np.ndarray) -> np.ndarray:
    """Return the place of each pixel itself, [H, W, 2]."""
    rows, columns = np.indices(photo.shape[:2], np.float32)
    return np.dstack([columns, rows])


def _inside(places: np.ndarray) -> np.ndarray:
    """Return 1 where a place is within the picture, 0 where it is not: float32 [H, W]."""
    height, width = places.shape[:2]
    x, y = places[..., 0], places[..., 1]
    inside: np.ndarray = ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)).astype(np.float32)
    return inside


def _moved(picture: np.ndarray, places: np.ndarray, sharp: bool = False) -> np.ndarray:
    """Return the values of a picture at ``places``."""
    import cv2

    remap: Any = cv2.remap  # its types leave out that the second map may be None
    kernel = cv2.INTER_LANCZOS4 if sharp else cv2.INTER_LINEAR
    moved: np.ndarray = remap(np.ascontiguousarray(picture), places, None, kernel, borderMode=cv2.BORDER_REPLICATE)
    return moved


def _unchanged(anchor: _Anchor, photo: np.ndarray) -> np.ndarray:
    """Return how certainly a place still shows what it showed in the anchor: float32 [H, W] in 0..1."""
    import cv2

    difference = np.abs(_moved(anchor.photo, anchor.places) - photo).mean(axis=2)
    difference = cv2.GaussianBlur(difference, (0, 0), CHANGE_SIGMA)
    certain: np.ndarray = np.exp(-((difference / np.float32(CHANGE)) ** 2)) * anchor.seen
    return certain
