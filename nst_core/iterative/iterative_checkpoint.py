"""The checkpoint of an iterative render, from which it resumes without changing a bit."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import IterativeSettings
from nst_core.base.untrusted_file import check_untrusted_file
from nst_core.checkpoint_file import write_checkpoint
from nst_core.features.network import FeatureNetwork
from nst_core.losses.guided_objective import StyleGuide

FORMAT = 5
ORIGIN_PICTURES = ("photo", "style picture", "picture to start from")
REGIONS = "regions"


@dataclass(frozen=True)
class IterativeCheckpoint:
    """The state of a render after an iteration.

    Attributes:
        origin: what it is made from, and how (see ``origin_of``).
        iteration, losses, picture: those of its last progress.
        variable: the tensor that the optimiser moves, [1, 3, H, W]; with L-BFGS it may leave 0..1.
        average, averaged: the sum of the moving average, and the number of pictures in it.
        optimizer: the optimiser's state dict.
    """

    origin: dict[str, Any]
    iteration: int
    losses: dict[str, float]
    picture: Tensor
    variable: Tensor
    average: Tensor
    averaged: int
    optimizer: dict[str, Any]


def origin_of(
    pictures: tuple[Tensor, Tensor, Tensor | None],
    features: FeatureNetwork,
    settings: IterativeSettings,
    guides: Sequence[StyleGuide] = (),
) -> dict[str, Any]:
    """Return everything that decides a render's bits, by name: checksums of its pictures, its network and settings.

    ``pictures`` are the photo, the style picture, and the picture to start from, if there is one.
    """
    checksums = ("" if picture is None else _checksum(picture) for picture in pictures)
    values = asdict(settings)
    objective: dict[str, Any] = values.pop("objective")
    regions = {REGIONS: " ".join(map(_guide_checksum, guides))}
    return (
        dict(zip(ORIGIN_PICTURES, checksums, strict=True))
        | regions
        | {"feature network": features.name}
        | objective
        | values
    )


def save_checkpoint(checkpoint: IterativeCheckpoint, path: Path) -> None:
    """Write ``path``, whole or not at all.

    The file is about as large as the optimiser's state: at 512x512, 10 MB with Adam and 130 MB with L-BFGS. Raises
    StyleError if it cannot be written; an older file then stays.
    """
    write_checkpoint({"format": FORMAT} | vars(checkpoint), path)


def load_checkpoint(path: Path, origin: dict[str, Any]) -> IterativeCheckpoint:
    """Read a checkpoint that ``save_checkpoint`` wrote of a render with this ``origin``.

    Raises StyleError if ``path`` is not a checkpoint, or if it is of another render, naming what differs.
    """
    check_untrusted_file(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state.pop("format") != FORMAT:
            raise ValueError("format")
        checkpoint = IterativeCheckpoint(**state)
        saved = {REGIONS: ""} | checkpoint.origin  # older checkpoints have none
        differences = [
            name if name in (*ORIGIN_PICTURES, REGIONS) else f"{name} ({saved[name]} there, {value} here)"
            for name, value in origin.items()
            if saved[name] != value
        ]
    except Exception as error:  # the lines above raise many kinds of error for a file that is not a checkpoint
        raise StyleError(f"{path} is not a checkpoint of a render of this version; remove or rename it.") from error
    if differences:
        raise StyleError(
            f"{path} is from another render, whose {', '.join(differences)} "
            f"{'differs' if len(differences) == 1 else 'differ'}; use the same again, or choose another output file."
        )
    return checkpoint


def _guide_checksum(guide: StyleGuide) -> str:
    pictures = (guide.style, guide.mask, guide.style_mask)
    checksums = ["" if picture is None else _checksum(picture) for picture in pictures]
    weights = "" if guide.layer_weights is None else str(sorted(guide.layer_weights.items()))
    return hashlib.sha256(" ".join([*checksums, weights]).encode()).hexdigest()


def _checksum(picture: Tensor) -> str:
    return hashlib.sha256(picture.cpu().contiguous().numpy().tobytes()).hexdigest()
