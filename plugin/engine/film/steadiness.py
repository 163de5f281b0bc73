"""Hold the strokes of a film still on what they are painted on.

A network amplifies a film's noise, so each frame painted by itself gets other strokes. Averaging the frames along the
motion blurs them. So every eighth frame is an anchor: those that follow show its strokes, moved along
with the picture, while the next anchor's strokes appear bit by bit. Each stroke is resampled only once, which keeps it
sharp. Where the picture changes or something new comes into view, the frame's own painting shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
        photo, painting: uint8 [H, W, 3], which OpenCV moves several times as fast as floats.
        places: float32 [H, W, 3], for each pixel of the current frame its x and y in the anchor, and 1 where the anchor
            shows it, 0 where it was outside.
    """

    number: int
    photo: np.ndarray
    painting: np.ndarray
    places: np.ndarray


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
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
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
        result = painted.copy()
        own, rgb = painted[..., :3], result[..., :3]
        for anchor, weight in zip(self._anchors, self._weights(number), strict=True):
            if weight and anchor.number != number:
                kept = np.float32(weight * self._share) * _unchanged(anchor, photo)
                strokes = _moved(anchor.painting, anchor.places, sharp=True) * np.float32(1 / 255)
                rgb += kept[..., None] * (strokes - own)
        np.clip(rgb, 0, 1, out=rgb)
        return result

    def _is_anchor(self, number: int) -> bool:
        return not self._anchors or number % ANCHOR_FRAMES == 0

    def _weights(self, number: int) -> list[float]:
        """Return the weights of the newest anchor and of the one before it, which fades out."""
        if len(self._anchors) == 1:
            return [1.0]
        newest = min(1.0, (number - self._anchors[0].number) / ANCHOR_FRAMES)
        return [newest, 1.0 - newest]

    def _add_anchor(self, number: int, photo: np.ndarray, painted: np.ndarray) -> None:
        self._anchors = [_Anchor(number, photo, _bytes(painted), _own_places(photo)), *self._anchors[:1]]

    def _advance(self, picture: Picture) -> np.ndarray:
        """Move the anchors' places to the next frame, and forget them if it begins a new scene. Return its photo."""
        photo, before = _bytes(picture.pixels), self._photo
        self._photo = photo
        if before is None or before.shape != photo.shape:
            self._anchors = []
            return photo
        places = self._motion(photo, before)
        if _unchanged(_Anchor(0, before, before, places), photo).mean() < SAME_SCENE:
            self._anchors = []
        for anchor in self._anchors:
            anchor.places = _moved(anchor.places, places)
            anchor.places[..., 2] *= places[..., 2]
        return photo

    def _motion(self, photo: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Return for each pixel of ``photo`` its place in ``before``, as an anchor's, by DIS optical flow.

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
        places = _own_places(photo)
        places[..., :2] += flow
        x, y = places[..., 0], places[..., 1]
        places[..., 2] = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        return places


def _bytes(pixels: np.ndarray) -> np.ndarray:
    """Return the colours of float32 RGBA pixels as uint8 [H, W, 3]."""
    import cv2

    rgb = cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB)
    values: np.ndarray = cv2.convertScaleAbs(rgb, alpha=255)  # rounds, and limits to 255
    return values


def _grey(photo: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the luminance at ``size``, width and height: uint8."""
    import cv2

    grey: np.ndarray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    return grey if (grey.shape[1], grey.shape[0]) == size else cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def _own_places(photo: np.ndarray) -> np.ndarray:
    """Return the place of each pixel itself, which is seen: float32 [H, W, 3]."""
    places = np.ones((*photo.shape[:2], 3), np.float32)
    places[..., 1], places[..., 0] = np.ogrid[: photo.shape[0], : photo.shape[1]]
    return places


def _moved(values: np.ndarray, places: np.ndarray, sharp: bool = False) -> np.ndarray:
    """Return the values of a picture at ``places``."""
    import cv2

    kernel = cv2.INTER_LANCZOS4 if sharp else cv2.INTER_LINEAR
    moved: np.ndarray = cv2.remap(
        values, np.ascontiguousarray(places[..., :2]), None, kernel, borderMode=cv2.BORDER_REPLICATE
    )
    return moved


def _unchanged(anchor: _Anchor, photo: np.ndarray) -> np.ndarray:
    """Return how certainly a place still shows what it showed in the anchor: float32 [H, W] in 0..1."""
    import cv2

    difference = cv2.absdiff(_moved(anchor.photo, anchor.places), photo)
    mean = cv2.transform(difference.astype(np.float32), np.full((1, 3), 1 / (3 * 255 * CHANGE), np.float32))
    mean = cv2.GaussianBlur(mean, (0, 0), CHANGE_SIGMA)
    certain: np.ndarray = np.exp(-(mean**2)) * anchor.places[..., 2]
    return certain
