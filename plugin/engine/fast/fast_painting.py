"""Paint with a trained network in ONNX Runtime. Never imports PyTorch."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nst_core.base.language import _
from nst_core.style_file import Style
from plugin.engine.fast.fast_settings import FastSettings, working_size
from plugin.engine.fast.network_run import NetworkMemory, NetworkRun, network_memory, padded_size, session_of
from plugin.engine.fast.style_trial import TRIAL_SIDE, is_bundled, try_style
from plugin.engine.imaging.detail import is_enlarged
from plugin.engine.imaging.finishing import PaintedRows, finish
from plugin.engine.imaging.picture import NetworkInput, Picture
from plugin.engine.imaging.picture_rows import PictureRows, resampled
from plugin.engine.machine.memory import check_max_memory, check_memory, usable_memory, within_free_memory
from plugin.engine.machine.provider import CUDA, Provider, choose_provider
from plugin.engine.machine.stopwatch import Stopwatch
from plugin.engine.progress import Progress, ProgressCallback, Stopper, ignore

# For each pixel of the picture: the result, as floats, and what is computed at a time.
RESULT_BYTES_PER_PIXEL = 32
# For each pixel that the network sees, if the painting is enlarged: what the network sees, the painting, and the planes
# from which it is enlarged. If it is reduced: the painting.
ENLARGED_BYTES_PER_PIXEL, REDUCED_BYTES_PER_PIXEL = 96, 32


@dataclass(frozen=True, eq=False)
class FastResult:
    """A painting: pixels [H, W, 4] of the kind of the picture's values, what ran the network, and seconds by stage."""

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
    work = _FastWork(styles, settings, progress, stopper or Stopper())
    progress(Progress(_("Preparing"), 0.0))
    for members in work.files.values():  # before anything runs them
        _try(members[0])
    provider = choose_provider(settings.device, next(iter(work.files)))
    memory = check_fast_memory(picture.height, picture.width, styles, settings)
    photo = NetworkInput(picture)
    seen = resampled(photo, *working_size(picture.height, picture.width, settings))
    work.clock.lap("prepare")
    pixels = finish(picture, photo, seen, work.painted(seen, provider, memory), settings.blend)
    work.clock.lap("composite")
    progress(Progress(_("Done"), 1.0))
    return FastResult(pixels, provider, work.clock.seconds)


class _FastWork:
    """One painting, from the networks' input to their output."""

    def __init__(
        self, styles: Mapping[Style, float], settings: FastSettings, progress: ProgressCallback, stopper: Stopper
    ) -> None:
        self._styles, self._settings, self._progress, self._stopper = styles, settings, progress, stopper
        self.clock = Stopwatch()
        self.files: dict[Path, list[Style]] = {}
        for style in styles:
            self.files.setdefault(style.path, []).append(style)

    def painted(self, seen: PictureRows, provider: Provider, memory: FastMemory) -> PaintedRows:
        """Paint what the networks see; yield the rows of the mean of their paintings."""
        paintings = (self._painted_by(number, seen, provider, memory) for number in range(len(self.files)))
        if len(self.files) == 1:
            yield from next(paintings)
        else:
            mean = np.zeros((seen.height, seen.width, 3), np.float32)
            for members, painting in zip(self.files.values(), paintings, strict=True):
                share = np.float32(sum(self._styles[style] for style in members))
                for rows, part in painting:
                    mean[rows] += share * part
            yield slice(0, seen.height), mean
        self._progress(Progress(_("Finishing"), 0.95))

    def _painted_by(self, number: int, seen: PictureRows, provider: Provider, memory: FastMemory) -> PaintedRows:
        path, members = list(self.files.items())[number]
        first, part = 0.1 + 0.8 * number / len(self.files), 0.8 / len(self.files)
        self._progress(Progress(_("Loading the style"), first))

        def report(fraction: float) -> None:
            if not self._progress(Progress(_("Painting"), first + part * fraction)):
                self._stopper.stop()

        strip_pixels = memory.networks[path].strip_pixels
        if strip_pixels is None:
            session_of(path, provider)
        self.clock.lap("load")
        report(0.0)
        self._stopper.check()
        run = NetworkRun(members[0], self._row_weights(members), provider, strip_pixels, report, self._stopper)
        # A style that passed its trial may still take more for a large picture than it says.
        bounded = provider.name != CUDA and not is_bundled(path)
        with within_free_memory() if bounded else nullcontext():
            for rows, painted in run.paint(seen):
                self.clock.lap("inference")
                yield rows, painted
                self.clock.lap("composite")

    def _row_weights(self, members: Collection[Style]) -> np.ndarray:
        """Return the shares of a network's rows, [1, rows], for the styles of its file."""
        share = sum(self._styles[style] for style in members)
        weights = np.zeros((1, next(iter(members)).row_count), np.float32)
        for style in members:
            own = np.array(style.row_weights(self._settings.detail), np.float32)
            weights[0] += self._styles[style] / share * own
        return weights


def open_styles(styles: Collection[Style], device: str) -> Provider:
    """Open the networks of styles for the paintings that follow, and return their provider.

    Raises StyleError if a style does not run, or if the device does not.
    """
    files = {style.path: style for style in styles}
    for style in files.values():
        _try(style)
    provider = choose_provider(device, next(iter(files)))
    for path in files:
        session_of(path, provider)
    return provider


@dataclass(frozen=True)
class FastMemory:
    """The memory that a painting takes.

    Attributes:
        networks: of the network of each file.
        pictures: for the result and for what is computed of it at a time, in bytes.
    """

    networks: Mapping[Path, NetworkMemory]
    pictures: int

    @property
    def largest(self) -> NetworkMemory:
        """The network that takes the most."""
        return max(self.networks.values(), key=lambda network: network.total)

    @property
    def total(self) -> int:
        """All memory, in bytes."""
        return self.pictures + self.largest.total


def fast_memory(height: int, width: int, styles: Collection[Style], settings: FastSettings) -> FastMemory:
    """Compute the memory that a painting will take, which decides whether its networks run in strips."""
    working = working_size(height, width, settings)
    pictures = RESULT_BYTES_PER_PIXEL * height * width
    if working != (height, width):
        enlarged = is_enlarged(working, (height, width))
        each = ENLARGED_BYTES_PER_PIXEL if enlarged else REDUCED_BYTES_PER_PIXEL
        pictures += each * math.prod(working)
    budget = usable_memory(settings.max_memory) - pictures
    return FastMemory({style.path: network_memory(style, *working, budget) for style in styles}, pictures)


def check_fast_memory(height: int, width: int, styles: Collection[Style], settings: FastSettings) -> FastMemory:
    """Return the memory that a painting will take. Raises StyleError if there is not as much."""
    pixels = height * width
    memory = fast_memory(height, width, styles, settings)
    subject = _("The picture")
    if settings.stroke_size != 100:
        subject += " " + _("at a stroke size of {stroke_size:g} %").format(stroke_size=settings.stroke_size)
    if settings.full_resolution:
        subject += " " + _("with strokes at full resolution")
    needed = memory.total
    # In bytes for each pixel of the picture, whose size is what the user knows.
    if choose_provider(settings.device, next(iter(styles)).path).name == CUDA:
        needed -= memory.largest.on_device
        check_memory(pixels, memory.largest.on_device / pixels, on_gpu=True, subject=subject)
    check_memory(pixels, needed / pixels, on_gpu=False, subject=subject)
    check_max_memory(needed, settings.max_memory, subject)
    return memory


def _try(style: Style) -> None:
    """Raise StyleError if the network of a style's file takes too much."""
    path = style.path
    try_style(path, path.stat().st_mtime_ns, padded_size(TRIAL_SIDE, TRIAL_SIDE, style), style.row_count)
