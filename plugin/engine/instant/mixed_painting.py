"""Paint in a mixture of style pictures and trained styles, in ONNX Runtime. Never imports PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from nst_core.base.language import _
from nst_core.style_file import Style
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.colour_matching import ColourStatistics, with_colours_of
from plugin.engine.imaging.compositing import composite
from plugin.engine.imaging.picture import Picture
from plugin.engine.instant.instant_painting import InstantResult, paint_instantly
from plugin.engine.instant.instant_settings import InstantSettings
from plugin.engine.machine.provider import CPU, Provider
from plugin.engine.machine.stopwatch import Stopwatch
from plugin.engine.progress import ProgressCallback, Stopper, ignore, part_of

T = TypeVar("T")
# The share of the time that a painting in the style of pictures takes, if one in trained styles is painted as well.
INSTANT_SHARE = 0.8


def paint_mixture(
    picture: Picture,
    pictures: Mapping[Picture, float],
    styles: Mapping[Style, float],
    settings: InstantSettings = InstantSettings(),
    progress: ProgressCallback = ignore,
    stopper: Stopper | None = None,
) -> InstantResult:
    """Paint ``picture`` in the style of ``pictures`` and in trained ``styles``, and average both paintings.

    The shares of all together sum to 1. Raises StyleError and progress.StoppedError as ``paint_instantly`` and
    ``paint_fast`` do.
    """
    if not styles:
        return paint_instantly(picture, pictures, settings, progress, stopper)
    clock, whole = Stopwatch(), replace(settings, fast=replace(settings.fast, blend=BlendSettings()))
    share, unmasked = sum(pictures.values()), Picture(picture.pixels)
    first, second = part_of(progress, 0.0, INSTANT_SHARE), part_of(progress, INSTANT_SHARE, 1.0)
    instant = paint_instantly(unmasked, _scaled_to_one(pictures), whole, first, stopper)
    clock.lap("pictures", instant.seconds)
    fast = paint_fast(unmasked, _scaled_to_one(styles), whole.fast, second, stopper)
    clock.lap("styles", fast.seconds)
    painted = share * instant.pixels[..., :3] + (1.0 - share) * fast.pixels[..., :3]
    pixels = composite(picture, painted, settings.fast.blend)
    clock.lap("composite")
    return InstantResult(pixels, instant.provider, clock.seconds, (*instant.notes, *fast.notes))


def take_colours(picture: Picture, pictures: Mapping[Picture, float], blend: BlendSettings) -> InstantResult:
    """Give ``picture`` the colours of style pictures and none of their strokes. No network runs."""
    clock = Stopwatch()
    coloured = with_colours_of(picture, ColourStatistics.of_mixture(pictures))
    clock.lap("colours")
    pixels = composite(picture, coloured.pixels[..., :3], blend)
    clock.lap("composite")
    return InstantResult(pixels, Provider(CPU, _("colours need no network")), clock.seconds)


def _scaled_to_one(shares: Mapping[T, float]) -> dict[T, float]:
    total = sum(shares.values())
    return {style: share / total for style, share in shares.items()}
