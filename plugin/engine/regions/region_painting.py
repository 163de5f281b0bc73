"""Paint the regions of a picture, each in its own style: trained, from a picture, or none. Never imports PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from nst_core.style_file import Style
from plugin.engine.fast.fast_painting import FastResult, paint_fast
from plugin.engine.imaging.bands import bands, in_threads
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.compositing import composite
from plugin.engine.imaging.picture import Picture, network_input
from plugin.engine.instant.instant_painting import InstantResult, paint_instantly
from plugin.engine.instant.instant_settings import InstantSettings
from plugin.engine.machine.provider import Provider
from plugin.engine.machine.stopwatch import Stopwatch
from plugin.engine.progress import ProgressCallback, Stopper, ignore, part_of
from plugin.engine.regions.partition import UNITS, as_weights, partition
from plugin.engine.regions.region_settings import RegionSettings


@dataclass(frozen=True, eq=False)
class TrainedStyles:
    """A trained style, or a mixture of several with shares that sum to 1."""

    shares: Mapping[Style, float]


@dataclass(frozen=True, eq=False)
class StylePictures:
    """The style of a picture, or a mixture of several with shares that sum to 1."""

    shares: Mapping[Picture, float]


RegionStyle: TypeAlias = TrainedStyles | StylePictures | None
"""What a region is painted in; None for a region that stays as in the photo."""


@dataclass(frozen=True, eq=False)
class Region:
    """A mask, float32 [H, W] in 0..1, and the style there."""

    mask: np.ndarray
    style: RegionStyle


@dataclass(frozen=True, eq=False)
class RegionsResult:
    """A painting.

    Attributes:
        pixels: float32 [H, W, 4], like the picture's.
        provider: what ran the networks; None if no region has a style.
        seconds: seconds by stage.
        notes: sentences that the user should see once.
        coverage: how much of the picture each region has, 0..1, and last what is left.
    """

    pixels: np.ndarray
    provider: Provider | None
    seconds: dict[str, float]
    notes: tuple[str, ...]
    coverage: tuple[float, ...]


def paint_regions(
    picture: Picture,
    regions: Sequence[Region],
    rest: RegionStyle = None,
    settings: RegionSettings = RegionSettings(),
    progress: ProgressCallback = ignore,
    stopper: Stopper | None = None,
) -> RegionsResult:
    """Paint each region in its style, and the rest of the picture in the style ``rest``.

    Every style is painted once over the whole picture, however many regions share the object, and the paintings are
    mixed by the masks. A style that no pixel takes is not painted. If one style has the whole picture, the result is
    that of ``paint_fast`` or ``paint_instantly``, bit for bit. A region of style None is the photo, bit for bit.

    Raises StyleError as ``partition`` and the painting of each style do, and progress.StoppedError if ``stopper`` stops
    it.
    """
    clock = Stopwatch()
    shares, notes = partition([region.mask for region in regions], (picture.height, picture.width), settings.feather)
    coverage = tuple(float(share.mean(dtype=np.float64)) / UNITS for share in shares)
    layers = _by_style([region.style for region in regions] + [rest], shares)
    clock.lap("masks")
    mixture, results = _Mixture(picture), list[FastResult | InstantResult]()
    for number, (style, share) in enumerate(layers):
        part = part_of(progress, number / len(layers), (number + 1) / len(layers))
        results.append(_paint_whole(picture, style, settings.instant, part, stopper))
        clock.lap("paint")
        mixture.add(results[-1].pixels, share)
        clock.lap("mix")
    pixels = mixture.composite(settings.instant.fast.blend)
    clock.lap("composite")
    notes += dict.fromkeys(note for result in results for note in result.notes)
    return RegionsResult(pixels, results[0].provider if results else None, clock.seconds, tuple(notes), coverage)


def _by_style(
    styles: Sequence[RegionStyle], shares: np.ndarray
) -> list[tuple[TrainedStyles | StylePictures, np.ndarray]]:
    """Return each style that some pixel takes, with the sum of its shares, uint16 [H, W]."""
    layers: dict[TrainedStyles | StylePictures, np.ndarray] = {}
    for style, share in zip(styles, shares, strict=True):
        if style is not None and share.any():
            layers[style] = layers[style] + share if style in layers else share
    return list(layers.items())


def _paint_whole(
    picture: Picture,
    style: TrainedStyles | StylePictures,
    settings: InstantSettings,
    progress: ProgressCallback,
    stopper: Stopper | None,
) -> FastResult | InstantResult:
    """Paint the whole picture at full strength."""
    fast = replace(settings.fast, blend=BlendSettings())
    whole = Picture(picture.pixels)
    if isinstance(style, TrainedStyles):
        return paint_fast(whole, style.shares, fast, progress, stopper)
    return paint_instantly(whole, style.shares, replace(settings, fast=fast), progress, stopper)


class _Mixture:
    """The weighted sum of paintings of one picture."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        shape = picture.height, picture.width
        # In memory like a network's output: the last bit of a luminance depends on that.
        self._sum = np.zeros((3, *shape), np.float32).transpose(1, 2, 0)
        self._covered = np.zeros(shape, np.uint16)

    def add(self, pixels: np.ndarray, share: np.ndarray) -> None:
        """Add a painting, float32 [H, W, 4], by its share, uint16 [H, W] in units."""

        def add(rows: slice) -> None:
            # A transparent pixel holds what the photo has there, which may be no number.
            paint = np.nan_to_num(pixels[rows, :, :3])
            self._sum[rows] += paint * as_weights(share[rows])[..., None]

        in_threads(add, bands(*share.shape))
        self._covered += share

    def composite(self, blend: BlendSettings) -> np.ndarray:
        """Mix the sum into the picture; where no style has a share, the photo stays. Return float32 [H, W, 4]."""
        picture, covered = self._picture, self._covered
        if (covered == UNITS).all():
            return composite(picture, self._sum, blend)
        weights, photo = as_weights(covered), network_input(picture)

        def divide(rows: slice) -> None:
            weight = weights[rows, :, None]
            mean = self._sum[rows] / np.maximum(weight, np.float32(1 / UNITS))
            # The photo, so keeping the colours finds no difference there.
            self._sum[rows] = np.where(weight > 0, mean, photo[rows])

        in_threads(divide, bands(*covered.shape))
        mask = weights if picture.mask is None else weights * picture.mask
        return composite(replace(picture, mask=mask), self._sum, blend)
