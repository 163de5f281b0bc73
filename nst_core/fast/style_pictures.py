"""Prepare style pictures for a training's losses."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from torch import Tensor

from nst_core.base.errors import StyleError
from nst_core.base.training_settings import TrainSettings
from nst_core.pictures.resize import resized_to_area, without_grain

SMALLEST_STYLE = 64  # pixels; a smaller picture holds no strokes, only a blur of them once it is enlarged


def prepare_style_picture(painting: Tensor, settings: TrainSettings) -> Tensor:
    """Return a painting, [1, 3, h, w], as the losses see it: scaled and without grain."""
    return without_grain(resized_to_area(painting, settings.style_size), settings.grain)


def check_style_pictures(paintings: Sequence[Tensor]) -> None:
    """Raise StyleError if one of the paintings, each [1, 3, h, w], is too small."""
    for painting in paintings:
        height, width = painting.shape[-2:]
        if min(height, width) < SMALLEST_STYLE:
            raise StyleError(
                f"A style picture is {width}x{height} pixels; "
                f"choose one with at least {SMALLEST_STYLE} pixels on its shorter side."
            )


def style_checksums(styles: Sequence[Tensor]) -> tuple[str, ...]:
    """Return the SHA-256 of each prepared style picture."""
    return tuple(hashlib.sha256(style.cpu().numpy().tobytes()).hexdigest() for style in styles)
