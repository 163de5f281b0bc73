"""Paint with a trained network in ONNX Runtime. Never imports PyTorch."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nst_core.base.display_text import LONGEST_REASON, one_line
from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.base.onnx_runtime import ort
from nst_core.style_file import Style
from plugin.engine.fast.fast_settings import FastSettings, working_size
from plugin.engine.fast.style_trial import TRIAL_SIDE, is_bundled, try_style
from plugin.engine.imaging.detail import fit_to_photo
from plugin.engine.imaging.picture import Picture, composite, network_input
from plugin.engine.imaging.resampling import resample_picture
from plugin.engine.machine.memory import PICTURE_BYTES_PER_PIXEL, check_memory, within_free_memory
from plugin.engine.machine.provider import (
    CUDA,
    Provider,
    choose_provider,
    open_session,
    run_options,
)
from plugin.engine.machine.stopwatch import Stopwatch
from plugin.engine.progress import Progress, ProgressCallback, Stopper, ignore


@dataclass(frozen=True, eq=False)
class FastResult:
    """A painting: float32 pixels [H, W, 4] like the picture's, the provider that ran it, and seconds by stage."""

    pixels: np.ndarray
    provider: Provider
    seconds: dict[str, float]

    @property
    def notes(self) -> list[str]:
        """Sentences that the user should see once."""
        if not self.provider.fell_back:
            return []
        return [
            _(
                "The graphics card could not be used ({reason}), so the CPU paints, which is slower; updating the "
                "card's driver may help."
            ).format(reason=self.provider.reason)
        ]


def paint_fast(
    picture: Picture,
    styles: Mapping[Style, float],
    settings: FastSettings = FastSettings(),
    progress: ProgressCallback = ignore,
    stopper: Stopper | None = None,
) -> FastResult:
    """Paint ``picture``, of any size from 1x1 up, in a trained style or in a mixture of several.

    ``styles`` gives each style's share; the shares sum to 1. The network of a file mixes the file's own styles into one
    that lies between them. Paintings by different files are averaged.

    Raises StyleError if the painting does not fit into memory or a style file does not run, and progress.StoppedError
    if ``stopper`` stops it.
    """
    stopper = stopper or Stopper()
    clock = Stopwatch()
    progress(Progress(_("Preparing"), 0.0))
    files: dict[Path, list[Style]] = {}
    for style in styles:
        files.setdefault(style.path, []).append(style)
    for members in files.values():  # before anything runs them
        _try(members[0])
    provider = choose_provider(settings.device, next(iter(files)))
    check_fast_memory(picture.height, picture.width, styles, settings)
    rgb = network_input(picture)
    seen = resample_picture(rgb, *working_size(picture.height, picture.width, settings))
    clock.lap("prepare")
    shares = []
    for number, (path, members) in enumerate(files.items()):
        progress(Progress(_("Loading the style"), 0.1 + 0.8 * number / len(files)))
        session = _session(path, path.stat().st_mtime_ns, provider)
        clock.lap("load")
        progress(Progress(_("Painting"), 0.2 + 0.8 * number / len(files)))
        stopper.check()
        share = sum(styles[style] for style in members)
        weights = np.zeros((1, members[0].row_count), np.float32)
        for style in members:
            weights[0] += styles[style] / share * np.array(style.row_weights(settings.detail), np.float32)
        # A style that passed its trial may still take more for a large picture than it says.
        bounded = provider.name != CUDA and not is_bundled(path)
        with within_free_memory() if bounded else nullcontext():
            shares.append(share * _run_padded(session, seen, members[0], weights, stopper))
        clock.lap("inference")
    painted = functools.reduce(np.add, shares)
    progress(Progress(_("Finishing"), 0.95))
    if seen.shape != rgb.shape:
        painted = fit_to_photo(painted, seen, rgb)
        clock.lap("resize")
    pixels = composite(picture, painted, settings.blend)
    clock.lap("composite")
    progress(Progress(_("Done"), 1.0))
    return FastResult(pixels, provider, clock.seconds)


def open_styles(styles: Collection[Style], device: str) -> Provider:
    """Open the networks of styles for the paintings that follow, and return their provider.

    Raises StyleError if a style does not run, or if the device does not.
    """
    files = {style.path: style for style in styles}
    for style in files.values():
        _try(style)
    provider = choose_provider(device, next(iter(files)))
    for path in files:
        _session(path, path.stat().st_mtime_ns, provider)
    return provider


def padded_size(height: int, width: int, style: Style) -> tuple[int, int]:
    """Compute the smallest size of at least height x width that the style's network accepts."""
    step = style.multiple_of
    height, width = (-(-max(extent, style.minimum_size) // step) * step for extent in (height, width))
    return height, width


def close_sessions() -> None:
    """Close the networks that were kept for the next painting."""
    _session.cache_clear()


def run_network(
    session: ort.InferenceSession, rgb: np.ndarray, weights: np.ndarray, stopper: Stopper | None = None
) -> np.ndarray:
    """Run a network on RGB [H, W, 3]. Return [H, W, 3].

    ``weights`` are the shares of the network's rows, [1, rows]; a network of one row ignores them. Raises StyleError
    if the runtime fails or the output is not a picture of this size, and progress.StoppedError if ``stopper`` stops it.
    """
    inputs = {"image": np.ascontiguousarray(rgb.transpose(2, 0, 1)[None], np.float32)}
    if weights.size > 1:
        inputs["style_weights"] = weights
    stopper, options = stopper or Stopper(), run_options(session)
    stopper.on_stop(lambda: setattr(options, "terminate", True))
    try:
        (styled,) = session.run(["styled"], inputs, options)
    except Exception as error:  # the only base class of the runtime's own exceptions
        stopper.check()
        text = _("ONNX Runtime could not run the style ({error}); try a smaller picture.")
        if session.get_providers()[0] == CUDA:
            text = _("ONNX Runtime could not run the style ({error}); try a smaller picture or the CPU.")
        raise StyleError(text.format(error=one_line(str(error), LONGEST_REASON))) from error
    _check_output(styled, inputs["image"])
    painted: np.ndarray = styled[0].transpose(1, 2, 0)
    return painted


def _check_output(styled: object, image: np.ndarray) -> None:
    """Raise StyleError unless a network answered ``image`` with a picture of the same shape and type."""
    if not isinstance(styled, np.ndarray) or (styled.shape, styled.dtype) != (image.shape, image.dtype):
        raise StyleError(_("The style does not answer a picture with a picture of its size; choose another style."))
    if not np.isfinite([styled.min(), styled.max()]).all():  # both are NaN if any value is
        raise StyleError(
            _("The style paints values that are no numbers, so its file is damaged; choose another style.")
        )


def _run_padded(
    session: ort.InferenceSession, rgb: np.ndarray, style: Style, weights: np.ndarray, stopper: Stopper
) -> np.ndarray:
    """Call ``run_network`` with a picture of any size, [H, W, 3] to [H, W, 3]."""
    height, width = rgb.shape[:2]
    padded = padded_size(height, width, style)
    # Mirrored at the bottom and right; NumPy mirrors a tiny picture repeatedly.
    planes = np.pad(rgb.transpose(2, 0, 1), [(0, 0), (0, padded[0] - height), (0, padded[1] - width)], mode="symmetric")
    return run_network(session, planes.transpose(1, 2, 0), weights, stopper)[:height, :width]


def check_fast_memory(height: int, width: int, styles: Collection[Style], settings: FastSettings) -> None:
    """Raise StyleError if the network that needs the most memory does not fit in addition to the pictures."""
    pixels = height * width
    working = working_size(height, width, settings)
    painted_pixels = {style: math.prod(padded_size(*working, style)) for style in styles}
    # Both in bytes for each pixel of the picture, whose size is what the user knows.
    network = math.ceil(max(style.bytes_per_pixel * count for style, count in painted_pixels.items()) / pixels)
    pictures = math.ceil(PICTURE_BYTES_PER_PIXEL * max(pixels, *painted_pixels.values()) / pixels)
    subject = _("The picture")
    if settings.stroke_size != 100:
        subject += " " + _("at a stroke size of {stroke_size:g} %").format(stroke_size=settings.stroke_size)
    if settings.full_resolution:
        subject += " " + _("with strokes at full resolution")
    if choose_provider(settings.device, next(iter(styles)).path).name == CUDA:
        check_memory(pixels, network, on_gpu=True, subject=subject)
        check_memory(pixels, pictures, on_gpu=False, subject=subject)
    else:
        check_memory(pixels, pictures + network, on_gpu=False, subject=subject)


def _try(style: Style) -> None:
    """Raise StyleError if the network of a style's file takes too much."""
    path = style.path
    try_style(path, path.stat().st_mtime_ns, padded_size(TRIAL_SIDE, TRIAL_SIDE, style), style.row_count)


@functools.lru_cache(maxsize=4)
def _session(path: Path, modified: int, provider: Provider) -> ort.InferenceSession:
    # ``modified`` makes a replaced file a new entry.
    return open_session(path, provider)
