"""Take a share of the training pictures as crops around known faces, so people appear often enough."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from nst_core.base.errors import StyleError
from nst_core.base.untrusted_file import check_untrusted_file
from nst_core.pictures.photos import LEAST_CROP, Photos, PictureSource

Box = tuple[int, int, int, int]  # x, y, width, height in pixels of the upright photo

CROP_SIDES = (1.7, 5.0)  # the side of a crop, in sides of its face
LARGEST_ENLARGEMENT = 1.8  # a face that is enlarged more is mostly blur
PHOTOS_IN_MEMORY = 256


class FaceCrops:
    """Pictures of ``source``; crops around the ``faces`` of ``photos`` replace about ``share`` of them.

    ``faces`` are boxes by file name; names that ``photos`` lacks are ignored. Raises StyleError if no photo has a face.
    """

    def __init__(self, source: PictureSource, photos: Photos, faces: Mapping[str, Sequence[Box]], share: float) -> None:
        self._source, self._share = source, share
        indices = {name: index for index, name in enumerate(photos.names)}
        self._faces = [(indices[name], boxes) for name, boxes in sorted(faces.items()) if name in indices and boxes]
        if not self._faces:
            raise StyleError(f"None of the photos in {photos.source} has a known face; give another file of faces.")
        self._open = lru_cache(PHOTOS_IN_MEMORY)(photos.open)

    @property
    def skipped(self) -> Sequence[str]:
        """The names of files that could not be used."""
        return self._source.skipped

    def __len__(self) -> int:
        return len(self._source)

    def batch(
        self, step: int, count: int, size: int, seed: int, least: float = LEAST_CROP, part: slice = slice(None)
    ) -> Tensor:
        """Return the pictures of a step, as ``PictureSource`` does; ``least`` does not hold for crops around faces."""
        batch = self._source.batch(step, count, size, seed, least, part)
        for place, number in enumerate(range(count)[part]):
            rng = np.random.default_rng([seed, step, number, 4])
            if rng.random() < self._share and (crop := self._crop(size, rng)) is not None:
                batch[place] = crop.to(batch.device)
        return batch

    def _crop(self, size: int, rng: np.random.Generator) -> Tensor | None:
        """Return a random crop around a random face, float32 [3, size, size]; None if its photo is damaged."""
        index, boxes = self._faces[rng.integers(len(self._faces))]
        try:
            photo = self._open(index)
        except StyleError:
            return None
        box = crop_around(photo.size, boxes[int(rng.integers(len(boxes)))], size, rng)
        square = photo.resize((size, size), Image.Resampling.BICUBIC, box=box)
        if rng.random() < 0.5:
            square = ImageOps.mirror(square)
        return torch.from_numpy(np.array(square)).permute(2, 0, 1).float() / 255


def crop_around(extents: tuple[int, int], face: Box, size: int, rng: np.random.Generator) -> Box:
    """Return left, top, right and bottom of a random square around a face, which will be scaled to ``size`` pixels.

    ``extents`` are the photo's width and height. The face is inside, if the photo is large enough.
    """
    scale = np.exp(rng.uniform(*np.log(CROP_SIDES)))
    side = int(min(min(extents), max(size / LARGEST_ENLARGEMENT, scale * max(face[2:]))))
    places = []
    for extent, start, length in zip(extents, face[:2], face[2:], strict=True):
        place = rng.uniform(*sorted((start + length - side, start)))
        places.append(int(np.clip(place, 0, extent - side)))
    x, y = places
    return x, y, x + side, y + side


def read_faces(path: Path) -> dict[str, list[Box]]:
    """Read boxes of faces by photo name from JSON, ``{"name.jpg": [[x, y, width, height], ...], ...}``.

    Raises StyleError if the file is not of this form.
    """
    check_untrusted_file(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): [_box(box) for box in boxes] for name, boxes in data.items()}
    except OSError as error:
        raise StyleError(f"{path} cannot be read ({error.strerror}); check its name.") from error
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise StyleError(
            f"{path} does not list faces; it should look like this: "
            '{"photo.jpg": [[x, y, width, height]]}, in pixels.'
        ) from error


def _box(values: Sequence[int]) -> Box:
    x, y, width, height = map(int, values)
    if min(x, y) < 0 or min(width, height) < 1:
        raise ValueError(f"no box: {values}")
    return x, y, width, height
