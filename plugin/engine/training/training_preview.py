"""The picture that shows how a training is doing."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from nst_core.pictures.arrays import as_tensor
from nst_core.pictures.photos import PictureSource
from nst_core.pictures.resize import resized
from plugin.engine.training.sample_photo import read_sample_photo

TRAINING_PREVIEW_SIDE = 256  # of each photo, in pixels
PREVIEW_TRAINING_PHOTOS = 3  # besides the sample photo
PREVIEW_STYLES = 12


def preview_photos(source: PictureSource, seed: int) -> Tensor:
    """Return the sample photo and the first training photos as squares, [N, 3, side, side] in 0..1, on the CPU.

    A resumed training gets the same ones.
    """
    sample = as_tensor(read_sample_photo()).float() / 255
    side = min(sample.shape[-2:])
    y, x = ((extent - side) // 2 for extent in sample.shape[-2:])
    square = resized(sample[..., y : y + side, x : x + side], TRAINING_PREVIEW_SIDE, TRAINING_PREVIEW_SIDE)
    return torch.cat([square, source.batch(0, PREVIEW_TRAINING_PHOTOS, TRAINING_PREVIEW_SIDE, seed).cpu()])


def write_training_preview(paintings: Tensor, path: Path) -> None:
    """Write a JPEG with a row for each of the first styles and a column for each photo, whole or not at all.

    ``paintings`` is [styles, N, 3, h, w] in 0..1. Raises StyleError if the file cannot be written.
    """
    rows = paintings[:PREVIEW_STYLES].permute(0, 3, 1, 4, 2)
    styles, height, photos, width, _ = rows.shape
    grid = (rows.reshape(styles * height, photos * width, 3) * 255).round().byte()
    encoded = io.BytesIO()  # Pillow itself does not notice when a disk takes only part of a file
    Image.fromarray(grid.cpu().numpy()).save(encoded, "JPEG", quality=90)
    try:
        with written_whole(path) as partial:
            partial.write_bytes(encoded.getvalue())
    except OSError as error:
        raise StyleError(f"{path} cannot be written ({error.strerror}); free some space and resume.") from error
