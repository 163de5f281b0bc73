"""Read training photos, from a folder or a tar file, as random crops."""

from __future__ import annotations

import logging
import tarfile
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from nst_core.base.errors import StyleError
from nst_core.base.untrusted_file import check_untrusted_file
from nst_core.pictures.decoding import READ_SUFFIXES, UnreadablePictureError, decode_picture, picture_size
from nst_core.pictures.transparency import filled

WHOLE_SIDE = 512
LEAST_CROP = 0.6  # of a photo's shorter side
MOST_PIXELS = 2**28  # larger ones are skipped; the largest sensors of cameras and phones have 2e8


class PictureSource(Protocol):
    """A source of training pictures: ``Photos``, ``HeldPhotos``, ``FaceCrops`` or ``DeadLeaves``."""

    @property
    def skipped(self) -> Sequence[str]:
        """The names of files that could not be used."""

    def __len__(self) -> int:
        """Return the number of photos."""

    def batch(
        self, step: int, count: int, size: int, seed: int, least: float = LEAST_CROP, part: slice = slice(None)
    ) -> Tensor:
        """Return the pictures of a step, float32 [count, 3, size, size] in 0..1, or a ``part`` of them.

        ``seed`` and ``step`` alone decide them. Each is a square of at least ``least`` of its photo's short side.
        """


class Photos:
    """The photos in a folder (with its subfolders) or an uncompressed tar, at least ``smallest`` pixels a side.

    Photos with a name in ``left_out`` are not used. Raises StyleError if there is no usable photo.

    Attributes:
        names: the names of the photos, in order.
        skipped: the names of files that are not pictures, or too small, in order. Damaged photos follow as they are
            discovered, since finding them all would mean decoding every photo. A pipe, socket or device is never
            opened.
    """

    def __init__(self, source: Path, smallest: int, left_out: Collection[str] = ()) -> None:
        self.source = source
        self.names: list[str] = []
        self._readers: list[Callable[[], bytes]] = []
        self.skipped: list[str] = []
        for name, reader in _entries(source):
            if name in left_out:
                continue
            try:
                usable = min(picture_size(reader())) >= smallest
            except (UnreadablePictureError, OSError):
                usable = False
            if usable:
                self.names.append(name)
                self._readers.append(reader)
            else:
                self.skipped.append(name)
        if not self._readers:
            raise StyleError(
                f"{source} holds no photo of at least {smallest} pixels a side; give another folder or tar."
            )

    def __len__(self) -> int:
        return len(self._readers)

    def crop(self, index: int, size: int, rng: np.random.Generator, least: float = LEAST_CROP) -> Tensor:
        """Return a random square of a photo, perhaps mirrored: uint8 [3, size, size].

        Before scaling, its side is ``least`` to 1 of the photo's short side.
        """
        return self._crop(self.open(index), size, rng, least)

    def _crop(self, image: Image.Image, size: int, rng: np.random.Generator, least: float) -> Tensor:
        box, mirrored = _square(image.size, rng, least)
        square = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
        if mirrored:
            square = ImageOps.mirror(square)
        return torch.from_numpy(np.array(square)).permute(2, 0, 1)

    def whole(self, index: int) -> Tensor:
        """Return a whole photo, scaled to at most WHOLE_SIDE pixels a side: float32 [1, 3, h, w] in 0..1."""
        image = self.open(index)
        image.thumbnail((WHOLE_SIDE, WHOLE_SIDE))
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255

    def wholes(self, count: int | None = None) -> Iterator[Tensor]:
        """Yield the first ``count`` photos that are not damaged, or all of them, as ``whole`` returns them.

        Each damaged one is named in ``skipped`` and in the log. Raises StyleError if all are damaged.
        """
        yielded = 0
        for index in range(len(self)):
            if yielded == count:
                return
            try:
                photo = self.whole(index)
            except StyleError as error:
                self._skip(index)
                logging.getLogger(__name__).warning("%s It was skipped.", error)
                continue
            yielded += 1
            yield photo
        if not yielded:
            raise StyleError(f"Every photo in {self.source} is damaged; give another folder or tar.")

    def batch(
        self, step: int, count: int, size: int, seed: int, least: float = LEAST_CROP, part: slice = slice(None)
    ) -> Tensor:
        """Return the batch of a step, float32 [count, 3, size, size] in 0..1, or a ``part`` of it.

        It depends on ``seed`` and ``step`` alone, so a resumed training has the batches of an uninterrupted one. Every
        photo comes once per pass; each pass has its own order. The next photo replaces a damaged one. Raises StyleError
        if all are damaged.
        """
        rng = np.random.default_rng([seed, step])
        crops = []
        for i in range(count):
            if i in range(count)[part]:
                crops.append(self._crop(self._sample(seed, step * count + i), size, rng, least))
            else:
                # A square takes the same number of random numbers for a photo of any size (with rare exceptions, one in
                # millions).
                _square((WHOLE_SIDE, WHOLE_SIDE), rng, least)
        return torch.stack(crops).float() / 255

    def open(self, index: int) -> Image.Image:
        """Return a photo as RGB, turned upright, as ``apply`` reads it. Raises StyleError if it is damaged."""
        try:
            return Image.fromarray(_rgb(decode_picture(self._readers[index](), _check_size).srgb()))
        except (UnreadablePictureError, OSError) as error:
            name = self.names[index]
            raise StyleError(
                f"The photo {name} in {self.source} is damaged ({error}); remove it and continue."
            ) from error

    def _skip(self, index: int) -> None:
        if self.names[index] not in self.skipped:
            self.skipped.append(self.names[index])

    def _sample(self, seed: int, sample: int) -> Image.Image:
        """Return the photo of a sample, or the first one after it that is not damaged."""
        for index in self._order(seed, sample):
            try:
                return self.open(index)
            except StyleError:
                self._skip(index)
        raise StyleError(f"Every photo in {self.source} is damaged; give another folder or tar.")

    def _order(self, seed: int, sample: int) -> list[int]:
        """Return all photos in the order of the pass, beginning with the sample's and wrapping around."""
        epoch, position = divmod(sample, len(self))
        order: list[int] = np.roll(_pass(seed, epoch, len(self)), -position).tolist()
        return order


def read_photo_names(path: Path) -> list[str]:
    """Return the photos' names in a text file, one on each line; lines that begin with # are comments.

    Raises StyleError if it cannot be read.
    """
    check_untrusted_file(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StyleError(f"{path} cannot be read ({error}); it should list the names of photos.") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


class HeldPhotos:
    """The same photos, decoded once, then held and cropped on a device: a GPU trains faster than a CPU decodes.

    A photo with a shorter side of more than ``short_side`` pixels is scaled down to that. Raises StyleError if all are
    damaged.
    """

    def __init__(self, photos: Photos, short_side: int, device: torch.device) -> None:
        def decoded(index: int) -> Tensor | None:
            try:
                image = photos.open(index)
            except StyleError:
                return None
            scale = short_side / min(image.size)
            if scale < 1:
                width, height = (max(short_side, round(extent * scale)) for extent in image.size)
                image = image.resize((width, height), Image.Resampling.BICUBIC)
            return torch.from_numpy(np.array(image)).permute(2, 0, 1)

        with ThreadPoolExecutor() as pool:
            pictures = list(pool.map(decoded, range(len(photos))))
        damaged = [name for name, picture in zip(photos.names, pictures, strict=True) if picture is None]
        self.skipped: Sequence[str] = list(dict.fromkeys([*photos.skipped, *damaged]))
        self._pictures = [picture.to(device) for picture in pictures if picture is not None]
        if not self._pictures:
            raise StyleError(f"Every photo in {photos.source} is damaged; give another folder or tar.")

    def __len__(self) -> int:
        return len(self._pictures)

    def batch(
        self, step: int, count: int, size: int, seed: int, least: float = LEAST_CROP, part: slice = slice(None)
    ) -> Tensor:
        """Return the batch of a step, on the device.

        It differs from that of ``Photos`` by rounding alone, if no photo was damaged or scaled down.
        """
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
    """Return the order of ``count`` photos in a pass."""
    return np.random.default_rng([seed, epoch, 1]).permutation(count)


def _square(extents: tuple[int, int], rng: np.random.Generator, least: float) -> tuple[tuple[int, int, int, int], bool]:
    """Return the box of a random square of a picture of this width and height, and whether to mirror it."""
    side = int(rng.uniform(least, 1.0) * min(extents)) or 1
    x, y = (int(rng.integers(0, extent - side + 1)) for extent in extents)
    return (x, y, x + side, y + side), bool(rng.random() < 0.5)


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise UnreadablePictureError(f"it has {width * height / 1e6:.0f} megapixels")


def _rgb(pixels: np.ndarray) -> np.ndarray:
    """Return a decoded photo as uint8 [H, W, 3], with the mean visible colour where it is transparent."""
    if pixels.shape[2] == 3 and pixels.dtype == np.uint8:
        return pixels
    values = pixels / np.float32(np.iinfo(pixels.dtype).max)
    rgb = filled(values[..., :3], values[..., 3:]) if pixels.shape[2] == 4 else values
    return np.asarray((rgb * 255).round().astype(np.uint8))


def _entries(source: Path) -> list[tuple[str, Callable[[], bytes]]]:
    """Return the name and a reader of every file of the source that is named like a photo."""
    if source.is_dir():
        files = sorted(p for p in source.rglob("*") if p.suffix.lower() in READ_SUFFIXES and not p.is_dir())
        return [(p.name, _whole_file(p)) for p in files]
    if not source.exists():
        raise StyleError(f"There is no folder or tar of photos {source}; check its name.")
    if not source.is_file():
        raise StyleError(f"{source} is neither a folder nor an uncompressed tar of photos.")
    try:
        with tarfile.open(source, "r:") as tar:
            members = [m for m in tar.getmembers() if m.isfile() and Path(m.name).suffix.lower() in READ_SUFFIXES]
    except (OSError, tarfile.TarError) as error:
        raise StyleError(f"{source} is neither a folder nor an uncompressed tar of photos ({error}).") from error
    return [(m.name, _slice(source, m.offset_data, m.size)) for m in members]


def _whole_file(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        if not path.is_file():  # to open a pipe waits for its writer, and to read a device may never end
            raise OSError(f"{path} is no regular file")
        return path.read_bytes()

    return read


def _slice(path: Path, offset: int, size: int) -> Callable[[], bytes]:
    def read() -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    return read
