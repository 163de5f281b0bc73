"""Detect faces, with OpenCV's frontal cascade, to count those that survive a style.

OpenCV 5 no longer has the cascades. Detections need scores here: eight neighbours in the photo, three in the painting.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from nst_core.base.errors import StyleError
from nst_core.pictures.face_crops import Box

SCALE_FACTOR = 1.05  # between two sizes of the detector's window
PHOTO_NEIGHBOURS, PAINTING_NEIGHBOURS = 8, 3
SMALLEST_FACE = 48  # pixels, in the photo
SMALLEST_PAINTED_FACE = 26  # a smaller one cannot overlap SMALLEST_FACE enough
LEAST_OVERLAP = 0.3  # intersection over union


def check_opencv() -> None:
    """Raise StyleError if OpenCV is missing or lacks the cascades."""
    try:
        import cv2
    except ImportError as error:
        raise StyleError("This needs OpenCV; run pip install 'opencv-python-headless<5'.") from error
    if not hasattr(cv2, "CascadeClassifier"):
        raise StyleError("This OpenCV has no cascades; run pip install 'opencv-python-headless<5'.")


def largest_face(photo: np.ndarray) -> Box | None:
    """Return the largest face in a photo, uint8 [H, W, 3]; None if there is none."""
    faces = _detect(photo, PHOTO_NEIGHBOURS, SMALLEST_FACE)
    return max(faces, key=lambda box: box[2] * box[3], default=None)


def is_kept(painting: np.ndarray, face: Box) -> bool:
    """Return whether a painting, uint8 [H, W, 3], still has a face where the photo has ``face``."""
    faces = _detect(painting, PAINTING_NEIGHBOURS, SMALLEST_PAINTED_FACE)
    return any(overlap(face, box) > LEAST_OVERLAP for box in faces)


def overlap(a: Box, b: Box) -> float:
    """Return the intersection of two boxes divided by their union."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    inside = max(0, width) * max(0, height)
    return inside / (a[2] * a[3] + b[2] * b[3] - inside)


def cascade(name: str) -> Any:
    """Return one of OpenCV's cascades, such as ``eye``."""
    import cv2
    import cv2.data

    return cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_{name}.xml")


def _detect(picture: np.ndarray, neighbours: int, smallest: int) -> list[Box]:
    import cv2

    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    size = (smallest, smallest)
    boxes = cascade("frontalface_default").detectMultiScale(grey, SCALE_FACTOR, neighbours, minSize=size)
    return [as_box(box) for box in boxes]


def as_box(values: Iterable[int]) -> Box:
    """Return OpenCV's array of a box as a tuple."""
    x, y, width, height = map(int, values)
    return x, y, width, height
