"""Find the faces in a collection of training photos, for `neural-style train --faces`.

    python -m benchmarks.find_faces PHOTOS FACES.json --without faces.txt

A detection counts if its score is high or if an eye is found in it. Needs OpenCV: pip install
'opencv-python-headless<5'.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.likeness.faces import as_box, cascade, check_opencv
from benchmarks.measuring.command import exit_on_error, new_parser
from benchmarks.measuring.record_files import write_json
from nst_core.base.errors import StyleError
from nst_core.pictures.face_crops import Box
from nst_core.pictures.photos import Photos, read_photo_names

COARSE_SCALE, NEIGHBOURS, SMALLEST = 1.1, 5, 28
LEAST_SCORE = 3.0  # of the cascade's last stage


@exit_on_error("find_faces")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = new_parser("find_faces", __doc__)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder or a tar of photos")
    parser.add_argument("out", type=Path, metavar="FACES.json")
    parser.add_argument("--without", type=Path, metavar="FILE", help="a text file with names of photos to leave out")
    options: argparse.Namespace = parser.parse_args(arguments)
    check_opencv()
    left_out = set(read_photo_names(options.without)) if options.without else set()
    photos = Photos(options.photos, SMALLEST)
    faces: dict[str, list[Box]] = {}
    for index, name in enumerate(tqdm(photos.names, unit="photo")):
        if name in left_out:
            continue
        try:
            boxes = find_faces(np.asarray(photos.open(index)))
        except StyleError:  # damaged
            continue
        if boxes:
            faces[name] = boxes
    write_json(options.out, faces)
    print(f"{options.out}: {sum(map(len, faces.values()))} faces in {len(faces)} of {len(photos)} photos")


def find_faces(photo: np.ndarray) -> list[Box]:
    """Return the faces in a photo, uint8 [H, W, 3]."""
    import cv2

    faces, eyes = (cascade(name) for name in ("frontalface_default", "eye"))
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    size = (SMALLEST, SMALLEST)
    boxes, _, scores = faces.detectMultiScale3(grey, COARSE_SCALE, NEIGHBOURS, minSize=size, outputRejectLevels=True)

    def has_eye(box: Box) -> bool:
        x, y, width, height = box
        upper = cv2.resize(grey[y : y + height * 2 // 3, x : x + width], None, fx=2, fy=2)
        return len(eyes.detectMultiScale(upper, 1.05, 3)) > 0

    detections = [(as_box(box), float(score)) for box, score in zip(boxes, scores, strict=True)]
    return [box for box, score in detections if score > LEAST_SCORE or has_eye(box)]


if __name__ == "__main__":
    main()
