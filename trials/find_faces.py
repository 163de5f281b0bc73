"""Faces in the training photos by OpenCV's cascade, without the 49 of faces.txt: trials/data/people.json, and
trials/data/train.tar without the 49."""

import json
import tarfile

import cv2
import numpy as np
from PIL import Image

from trials.measure import CASCADE, DATA, SHARED

EYES = cv2.data.haarcascades + "haarcascade_eye.xml"


def main() -> None:
    held = {line for line in (SHARED / "photos/faces.txt").read_text().splitlines() if not line.startswith("#")}
    cascade, eyes, found, eyed = cv2.CascadeClassifier(CASCADE), cv2.CascadeClassifier(EYES), {}, 0
    with tarfile.open(DATA / "train.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted((DATA / "train").glob("*.jpg")):
            if path.name in held:
                continue
            tar.add(path, path.name)
            grey = np.asarray(Image.open(path).convert("L"))
            boxes, _, weights = cascade.detectMultiScale3(grey, 1.1, 5, minSize=(28, 28), outputRejectLevels=True)
            kept = []
            for (x, y, w, h), weight in zip(boxes, weights, strict=True):
                face = cv2.resize(grey[y : y + h * 2 // 3, x : x + w], None, fx=2, fy=2)
                with_eyes = len(eyes.detectMultiScale(face, 1.05, 3)) > 0
                if float(weight) > 3.0 or with_eyes:
                    kept.append([int(v) for v in (x, y, w, h)])
            if kept:
                found[path.name] = kept
    (DATA / "people.json").write_text(json.dumps(found, indent=0))
    print(len(found), "photos with", sum(map(len, found.values())), "faces")


main()
