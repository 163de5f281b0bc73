"""Paint in the style of any picture with ONNX Runtime and NumPy. Never imports PyTorch.

From the deepest level to the first, the picture so far is encoded, its activations take on the statistics of the
style's, and they are decoded (Li et al. 2017, arXiv 1705.08086). At the two deepest levels, patches are swapped too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from plugin.engine.fast.fast_settings import working_size
from plugin.engine.imaging.compositing import composite
from plugin.engine.imaging.detail import fit_to_photo
from plugin.engine.imaging.picture import Picture, network_input
from plugin.engine.imaging.recolouring import LUMA
from plugin.engine.imaging.resampling import Kernel, resample_picture, resample_planes
from plugin.engine.instant.feature_transforms import transform
from plugin.engine.instant.instant_networks import MULTIPLE, PAINTED_LEVELS, decode, encode, encoder_file
from plugin.engine.instant.instant_settings import InstantSettings
from plugin.engine.instant.style_measurement import SWAPPED_LEVELS, MeasuredStyle, measured
from plugin.engine.machine.memory import PICTURE_BYTES_PER_PIXEL, check_memory
from plugin.engine.machine.provider import Provider, choose_provider
from plugin.engine.machine.stopwatch import Stopwatch
from plugin.engine.progress import Progress, ProgressCallback, Stopper, ignore

MOST_PICTURES = 8
# Mirrored around the picture, since the encoders' zero borders would otherwise show.
PADDING = 32
# The standard deviation of luminance, in 0..1, at which a place is half flat.
DETAIL_CONTRAST = 0.05
# Measured at 0.7 megapixels, where level 1 takes most: 16 and 32 channels, several times, in float32.
WORKING_BYTES_PER_PIXEL = 1300


@dataclass(frozen=True, eq=False)
class InstantResult:
    """A painting.

    Attributes:
        pixels: float32 [H, W, 4], like the picture's.
        provider: the provider that ran the networks.
        seconds: seconds by stage.
        notes: sentences that the user should see once.
    """

    pixels: np.ndarray
    provider: Provider
    seconds: dict[str, float]
    notes: tuple[str, ...] = ()


def paint_instantly(
    picture: Picture,
    styles: Mapping[Picture, float],
    settings: InstantSettings = InstantSettings(),
    progress: ProgressCallback = ignore,
    stopper: Stopper | None = None,
) -> InstantResult:
    """Paint ``picture``, of any size from 1x1 up, in the style of any picture or of a mixture of several.

    ``styles`` gives each style picture's share; the shares sum to 1. Raises StyleError if there are more than
    MOST_PICTURES or the painting does not fit into memory, and progress.StoppedError if ``stopper`` stops it.
    """
    stopper, clock = stopper or Stopper(), Stopwatch()
    progress(Progress(_("Preparing"), 0.0))
    check_count(len(styles))
    provider = choose_provider(settings.fast.device, encoder_file(PAINTED_LEVELS[0]))
    check_instant_memory(picture.height, picture.width, settings)
    rgb = network_input(picture)
    seen = resample_picture(rgb, *working_size(picture.height, picture.width, settings.fast))
    clock.lap("prepare")
    progress(Progress(_("Loading the style"), 0.1))
    shares = [(measured(style, provider, stopper), share) for style, share in styles.items()]
    clock.lap("style")
    image, freedom = padded(seen), freedom_maps(seen, settings.detail)
    for number, level in enumerate(PAINTED_LEVELS):
        progress(Progress(_("Painting"), 0.2 + 0.15 * number))
        stopper.check()
        features = encode(image, level, provider, stopper)
        clock.lap("encode")
        features = _styled(features, shares, level, settings.swaps.get(level, 0.0), freedom.get(level))
        clock.lap("transform")
        image = decode(features, level, provider, stopper)
        clock.lap("decode")
    painted = image[:, PADDING : PADDING + seen.shape[0], PADDING : PADDING + seen.shape[1]].transpose(1, 2, 0)
    progress(Progress(_("Finishing"), 0.95))
    painted = fit_to_photo(painted, seen, rgb)
    clock.lap("resize")
    pixels = composite(picture, painted, settings.fast.blend)
    clock.lap("composite")
    progress(Progress(_("Done"), 1.0))
    return InstantResult(pixels, provider, clock.seconds, _notes(shares))


def check_count(styles: int) -> None:
    """Raise StyleError if there are more style pictures than MOST_PICTURES."""
    if styles > MOST_PICTURES:
        raise StyleError(
            _("{count} style pictures are too many; give at most {most}.").format(count=styles, most=MOST_PICTURES)
        )


def padded(seen: np.ndarray) -> np.ndarray:
    """Return RGB [H, W, 3] as planes [3, h, w] with a mirrored margin; their sides are multiples of 16."""
    added = [(PADDING, PADDING + -extent % MULTIPLE) for extent in seen.shape[:2]]
    planes = np.pad(seen.transpose(2, 0, 1), [(0, 0), *added], mode="symmetric")
    return np.ascontiguousarray(planes, np.float32)


def freedom_maps(seen: np.ndarray, detail: float) -> dict[int, np.ndarray]:
    """Return for SWAPPED_LEVELS how freely the style paints each place, [h, w] in 0..1.

    It is 1 where the photo is flat, and 1 - ``detail`` / 100 where it has strong contrasts close together.
    """
    luma = padded(np.broadcast_to((seen @ LUMA)[..., None], seen.shape))[0]
    values = np.stack([luma, luma * luma])
    maps = {}
    for level in SWAPPED_LEVELS:
        size = tuple(extent // 2 ** (level - 1) for extent in luma.shape)
        # Over about the patch that is swapped, three places a side: the kernel reaches over two cells.
        coarse = tuple(max(1, round(extent / 2)) for extent in size)
        mean, square = resample_planes(values, coarse, Kernel.REDUCE)
        contrast = np.maximum(square - mean * mean, 0)
        flat = np.float32(DETAIL_CONTRAST**2) / (contrast + np.float32(DETAIL_CONTRAST**2))
        free = np.float32(1) - np.float32(detail / 100) * (np.float32(1) - flat)
        maps[level] = resample_planes(free[None], size, Kernel.LINEAR)[0]
    return maps


def _styled(
    features: np.ndarray,
    shares: list[tuple[MeasuredStyle, float]],
    level: int,
    swap: float,
    freedom: np.ndarray | None,
) -> np.ndarray:
    """Return the activations in the style, or in the weighted mean of those in each style.

    ``swap`` is the share of swapped patches. Both count less where the style has less freedom, as around eyes.
    """
    swaps = None if freedom is None else np.float32(swap) * freedom
    (first, share), *others = shares
    styled = transform(features, first.levels[level], swaps)
    if others:
        styled *= np.float32(share)
        for style, share in others:
            styled += np.float32(share) * transform(features, style.levels[level], swaps)
    return styled if freedom is None else features + freedom * (styled - features)


def _notes(shares: list[tuple[MeasuredStyle, float]]) -> tuple[str, ...]:
    if any(style.one_colour for style, _share in shares):
        return (_("The style picture has only one colour, so the painting takes only that colour from it."),)
    return ()


def check_instant_memory(height: int, width: int, settings: InstantSettings) -> None:
    """Raise StyleError if the painting of a picture of this size does not fit into memory."""
    pixels = height * width
    rows, columns = working_size(height, width, settings.fast)
    working = (rows + 2 * PADDING + MULTIPLE) * (columns + 2 * PADDING + MULTIPLE)
    needed = WORKING_BYTES_PER_PIXEL * working + PICTURE_BYTES_PER_PIXEL * max(pixels, working)
    check_memory(pixels, -(-needed // pixels), on_gpu=False)
