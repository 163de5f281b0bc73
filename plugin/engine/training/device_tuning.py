"""Choose what depends on the device that trains: how often it reports, and where the photos are held."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch

from nst_core.base.training_settings import TrainingIntervals
from nst_core.pictures.photos import LEAST_CROP, HeldPhotos, Photos, PictureSource

CUDA_INTERVALS = TrainingIntervals(save=500, report=10)
OTHER_INTERVALS = TrainingIntervals(save=100, report=1)
# The share of a GPU's free memory that photos may take.
PHOTOS_SHARE = 0.25


def intervals_for(device: torch.device) -> TrainingIntervals:
    """Return the steps between checkpoints and reports; on a GPU reports are rare, because it has to wait for them."""
    return CUDA_INTERVALS if device.type == "cuda" else OTHER_INTERVALS


def photos_for(
    source: Path, crop: int, device: torch.device, least: float = LEAST_CROP, left_out: Collection[str] = ()
) -> PictureSource:
    """Return the photos of a folder or a tar, for squares of ``crop`` pixels; a GPU holds them if it has the memory.

    ``least`` is the smallest share of a photo's short side that is cropped. Photos with a name in ``left_out`` are not
    used. Raises StyleError as ``Photos`` does.
    """
    photos = Photos(source, crop, left_out)
    if device.type != "cuda":
        return photos
    side = round(crop / least)
    bytes_at_most = len(photos) * 3 * side * 2 * side  # few photos are longer than twice their short side
    if bytes_at_most > PHOTOS_SHARE * torch.cuda.mem_get_info()[0]:
        return photos
    return HeldPhotos(photos, side, device)
