"""Training photos, from a folder or a tar file, as random crops."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from nst_core.errors import StyleError

WHOLE_SIDE = 512
LEAST_CROP = 0.6  # of a photo's shorter side
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}


class PictureSource(Protocol):
    """What a network learns from: ``Photos``, ``HeldPhotos``, or pictures made up (dead_leaves.py)."""

    @property
    def skipped(self) -> Sequence[str]:
        """Names of files that could not be used."""

    def __len__(self) -> int:
        """How many photos there are."""

    def batch(
        self, step: int, count: int, size: int, seed: int, least: float = LEAST_CROP, part: slice = slice(None)
    ) -> Tensor:
        """The pictures of a step, float32 [count, 3, size, size] in 0..1; ``seed`` and ``step`` alone decide them.

        Of these ``count`` only ``part`` is made and given.
        """


class Photos:
    """The decodable photos of a folder (searched deeply) or an uncompressed tar file.

    Attributes:
        skipped: names of files that are no picture, or too small for a crop, in order; and of damaged ones once they
            have been found out, which takes reading all of them.
    Raises StyleError if not one usable photo is there.
    """

    def __init__(self, source: Path, smallest: int) -> None:
        self.source = source
        self._readers: list[tuple[str, Callable[[], bytes]]] = []
        self.skipped: list[str] = []
        for name, reader in _entries(source):
            try:
                with Image.open(io.BytesIO(reader())) as image:
                    usable = min(image.size) >= smallest
            except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
                usable = False
            if usable:
                self._readers.append((name, reader))
            else:
                self.skipped.append(name)
        if not self._readers:
            raise StyleError(
                f"{source} holds no photo of at least {smallest} pixels a side; give another folder or tar."
            )

    def __len__(self) -> int:
        return len(self._readers)

    def crop(self, index: int, size: int, rng: np.random.Generator, least: float = LEAST_CROP) -> Tensor:
        """A random square of a photo, perhaps mirrored: uint8 [3, size, size].

        Its side before scaling is ``least`` to 1 of the photo's short side.
        """
        return self._crop(self._open(index), size, rng, least)

    def _crop(self, image: Image.Image, size: int, rng: np.random.Generator, least: float) -> Tensor:
        box, mirrored = _square(image.size, rng, least)
        square = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
        if mirrored:
            square = ImageOps.mirror(square)
        return torch.from_numpy(np.array(square)).permute(2, 0, 1)

    def whole(self, index: int) -> Tensor:
        """A whole photo, at most WHOLE_SIDE pixels a side: float32 [1, 3, h, w] in 0..1."""
        image = self._open(index)
        image.thumbnail((WHOLE_SIDE, WHOLE_SIDE))
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255

    def batch(
        self, step: int, count: int, size: int, seed: int, least: float = LEAST_CROP, part: slice = slice(None)
    ) -> Tensor:
        """The batch of a step, float32 [count, 3, size, size] in 0..1, or a ``part`` of it.

        It depends on ``seed`` and ``step`` alone, so a resumed training sees what an uninterrupted one would.
        Every photo comes once per pass; each pass has an order of its own. In place of a damaged photo comes the next
        one. Raises StyleError if all are damaged.
        """
        rng = np.random.default_rng([seed, step])
        crops = []
        for i in range(count):
            if i in range(count)[part]:
                crops.append(self._crop(self._sample(seed, step * count + i), size, rng, least))
            else:
                # A square takes as many random numbers of a photo of any size (or of all but one in millions).
                _square((WHOLE_SIDE, WHOLE_SIDE), rng, least)
        return torch.stack(crops).float() / 255

    def _open(self, index: int) -> Image.Image:
        name, reader = self._readers[index]
        try:
            return ImageOps.exif_transpose(Image.open(io.BytesIO(reader()))).convert("RGB")
        except OSError as error:
            raise StyleError(f"The photo {name} in {self.source} is damaged ({error}); remove it and go on.") from error

    def _sample(self, seed: int, sample: int) -> Image.Image:
        """The photo that is due, or the first sound one after it."""
        for index in self._order(seed, sample):
            try:
                return self._open(index)
            except StyleError:
                name = self._readers[index][0]
                if name not in self.skipped:
                    self.skipped.append(name)
        raise StyleError(f"Every photo in {self.source} is damaged; give another folder or tar.")

    def _order(self, seed: int, sample: int) -> list[int]:
        """All photos in the order of the pass, from the one that is due round to the one before it."""
        epoch, place = divmod(sample, len(self))
        return np.roll(_pass(seed, epoch, len(self)), -place).tolist()


Box = tuple[int, int, int, int]  # x, y, width, height

FACE_CROP = (1.7, 5.0)  # sides of a crop around a face, in sides of the face
LARGEST_FACE_SCALE = 1.8  # photos that are enlarged more are mostly blur


class WithPeople:
    """Photos of which, more often than they come, one with a face is cropped around it.

    Args:
        photos: all of them.
        faces: boxes by file name; those of other photos are ignored.
        share: of the pictures, how many are such crops.
    """

    def __init__(self, photos: Photos, faces: Mapping[str, Sequence[Box]], share: float) -> None:
        self._photos, self._share = photos, share
        named = {name: index for index, (name, _) in enumerate(photos._readers)}
        self._faces = [(named[name], boxes) for name, boxes in sorted(faces.items()) if name in named and boxes]
        if share and not self._faces:
            raise StyleError(f"{photos.source} has no photo with a known face.")

    @property
    def skipped(self) -> Sequence[str]:
        return self._photos.skipped

    def __len__(self) -> int:
        return len(self._photos)

    def batch(
        self, step: int, count: int, size: int, seed: int, least: float = LEAST_CROP, part: slice = slice(None)
    ) -> Tensor:
        """As of ``Photos``, some of the pictures replaced."""
        batch = self._photos.batch(step, count, size, seed, least, part)
        for place, number in enumerate(range(count)[part]):
            rng = np.random.default_rng([seed, step, number, 4])
            if rng.random() < self._share:
                index, boxes = self._faces[rng.integers(len(self._faces))]
                image = self._photos._open(index)
                box, mirrored = _around(image.size, boxes[rng.integers(len(boxes))], size, rng)
                square = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
                square = ImageOps.mirror(square) if mirrored else square
                batch[place] = torch.from_numpy(np.array(square)).permute(2, 0, 1).float() / 255
        return batch


def _around(
    extents: tuple[int, int], face: Box, size: int, rng: np.random.Generator
) -> tuple[tuple[int, int, int, int], bool]:
    """A random square around a face of a picture so large, to be scaled to ``size``, and whether to mirror it."""
    scale = np.exp(rng.uniform(*np.log(FACE_CROP)))
    side = int(min(min(extents), max(size / LARGEST_FACE_SCALE, scale * max(face[2:]))))
    places = []
    for extent, start, length in zip(extents, face[:2], face[2:], strict=True):
        first, last = start + length - side, start  # the whole face is inside
        place = rng.uniform(min(first, last), max(first, last))
        places.append(int(np.clip(place, 0, extent - side)))
    x, y = places
    return (x, y, x + side, y + side), bool(rng.random() < 0.5)


class HeldPhotos:
    """The same photos, decoded once and held and cropped on a device: a GPU learns faster than a CPU decodes.

    A photo whose shorter side is longer than ``short_side`` pixels is held that much smaller. Raises StyleError if all
    are damaged.
    """

    def __init__(self, photos: Photos, short_side: int, device: torch.device) -> None:
        def decoded(index: int) -> Tensor | None:
            try:
                image = photos._open(index)
            except StyleError:
                return None
            scale = short_side / min(image.size)
            if scale < 1:
                width, height = (max(short_side, round(extent * scale)) for extent in image.size)
                image = image.resize((width, height), Image.Resampling.BICUBIC)
            return torch.from_numpy(np.array(image)).permute(2, 0, 1)

        with ThreadPoolExecutor() as pool:
            found = list(pool.map(decoded, range(len(photos))))
        damaged = [name for (name, _), picture in zip(photos._readers, found, strict=True) if picture is None]
        self.skipped: Sequence[str] = [*photos.skipped, *damaged]
        self._pictures = [picture.to(device) for picture in found if picture is not None]
        if not self._pictures:
            raise StyleError(f"Every photo in {photos.source} is damaged; give another folder or tar.")

    def __len__(self) -> int:
        return len(self._pictures)

    def batch(
        self, step: int, count: int, size: int, seed: int, least: float = LEAST_CROP, part: slice = slice(None)
    ) -> Tensor:
        """As of ``Photos`` but for rounding, on the device, if none was damaged and none held smaller."""
        rng, crops = np.random.default_rng([seed, step]), []
        for number in range(count):
            epoch, place = divmod(step * count + number, len(self))
            picture = self._pictures[_pass(seed, epoch, len(self))[place]]
            box, mirrored = _square((picture.shape[2], picture.shape[1]), rng, least)
            if number in range(count)[part]:
                square = picture[:, box[1] : box[3], box[0] : box[2]][None].float()
                crop = F.interpolate(square, (size, size), mode="bicubic", antialias=True)
                crops.append(crop.flip(3) if mirrored else crop)
        return torch.cat(crops).clamp(0, 255) / 255


@lru_cache(maxsize=8)
def _pass(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of so many photos in a pass."""
    return np.random.default_rng([seed, epoch, 1]).permutation(count)


def _square(extents: tuple[int, int], rng: np.random.Generator, least: float) -> tuple[tuple[int, int, int, int], bool]:
    """The box of a random square of a picture so large, and whether to mirror it."""
    side = int(rng.uniform(least, 1.0) * min(extents)) or 1
    x, y = (int(rng.integers(0, extent - side + 1)) for extent in extents)
    return (x, y, x + side, y + side), bool(rng.random() < 0.5)


def _entries(source: Path) -> list[tuple[str, Callable[[], bytes]]]:
    if source.is_dir():
        files = sorted(p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES)
        return [(p.name, p.read_bytes) for p in files]
    if not source.exists():
        raise StyleError(f"There is no folder or tar of photos {source}; check its name.")
    try:
        with tarfile.open(source, "r:") as tar:
            members = [m for m in tar.getmembers() if m.isfile() and Path(m.name).suffix.lower() in SUFFIXES]
    except (OSError, tarfile.TarError) as error:
        raise StyleError(f"{source} is neither a folder nor an uncompressed tar of photos ({error}).") from error
    return [(m.name, _slice(source, m.offset_data, m.size)) for m in members]


def _slice(path: Path, offset: int, size: int) -> Callable[[], bytes]:
    def read() -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    return read
