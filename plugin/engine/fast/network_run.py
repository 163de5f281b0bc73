"""Run a style's network on a picture: whole if that takes little memory, else in strips."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nst_core.base.display_text import LONGEST_REASON, one_line
from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.base.onnx_model import read_model
from nst_core.base.onnx_runtime import ort
from nst_core.style_file import Style
from plugin.engine.imaging.picture_rows import PictureRows
from plugin.engine.machine.provider import CUDA, Provider, open_session, run_options
from plugin.engine.progress import Stopper

# A network that takes more memory than this for a picture runs in strips, if it can: they take a fraction of it, and
# hardly more time.
WHOLE_BYTES = 2**30
# Memory of the strip that is computed, in multiples of what a style says that a run on so many pixels takes.
STRIP_FACTOR = 2.0
# Pixels of the picture in a strip: few enough to stop soon and to stay near a core's cache, and enough to hide the
# overhead of the calls.
STRIP_PIXELS = 2**18
NARROWEST = 16  # rows of the picture in a strip, in networks that paint at a quarter of its size
TRACED_SIDE = 256  # pixels of the picture on which a style's memory in strips is measured


@dataclass(frozen=True, eq=False)
class NetworkRun:
    """How a style's network is run.

    Attributes:
        style: one of the file's styles.
        weights: the shares of the network's rows, float32 [1, rows].
        provider: where.
        strip_pixels: as in ``NetworkMemory``.
        report: called with the share that is done, 0 to 1.
        stopper: stops it.
    """

    style: Style
    weights: np.ndarray
    provider: Provider
    strip_pixels: int | None
    report: Callable[[float], object] = lambda fraction: None
    stopper: Stopper = field(default_factory=Stopper)

    def paint(self, seen: PictureRows) -> Iterator[tuple[slice, np.ndarray]]:
        """Paint a picture of any size: yield rows from top to bottom, each with what is painted there.

        The painting is float32 [rows, W, 3] in 0..1. In strips it is the same as whole, up to the rounding of numbers.
        Raises StyleError if memory is short or the runtime fails, and progress.StoppedError if the stopper stops it.
        """
        padded = _Padded(seen, *padded_size(seen.height, seen.width, self.style))
        if self.strip_pixels is not None:
            yield from self._paint_strips(seen, padded, self.strip_pixels)
            return
        session = session_of(self.style.path, self.provider)
        rows = slice(0, padded.height)
        painted = run_network(session, padded.rows(rows), self.weights, self.stopper)
        yield slice(0, seen.height), painted[: seen.height, : seen.width]

    def _paint_strips(self, seen: PictureRows, padded: PictureRows, pixels: int) -> Iterator[tuple[slice, np.ndarray]]:
        # For large pictures only: it takes as long to import ONNX's own package as to paint a small one.
        from plugin.engine.fast.strip_painting import StripRun, paint_strips
        from plugin.engine.fast.traced_network import trace

        network = trace(read_model(self.style.path), padded.height, padded.width, self.weights)
        run = StripRun(self.provider, pixels, self.report, self.stopper)
        for rows, painted in paint_strips(network, lambda rows: padded.rows(slice(rows.first, rows.end)), run):
            check_values(painted)
            part = rows.within(seen.height)
            if len(part):
                yield slice(part.first, part.end), painted[: len(part), : seen.width]


class _Padded:
    """A picture that is mirrored at the bottom and the right up to a size that a network takes."""

    def __init__(self, source: PictureRows, height: int, width: int) -> None:
        self._source, self.height, self.width = source, height, width

    def rows(self, rows: slice) -> np.ndarray:
        """Return rows as float32 [rows, W, 3]."""
        source = self._source
        below, right = self.height - source.height, self.width - source.width
        if rows.stop <= source.height:
            part = source.rows(rows)
            return np.pad(part, [(0, 0), (0, right), (0, 0)], mode="symmetric") if right else part
        # NumPy mirrors a tiny picture repeatedly.
        order = np.pad(np.arange(source.height), (0, below), mode="symmetric")[rows]
        first = int(np.min(order))
        part = source.rows(slice(first, int(np.max(order)) + 1))[order - first]
        return np.pad(part, [(0, 0), (0, right), (0, 0)], mode="symmetric")


def padded_size(height: int, width: int, style: Style) -> tuple[int, int]:
    """Compute the smallest size of at least height x width that the style's network accepts."""
    step = style.multiple_of
    height, width = (-(-max(extent, style.minimum_size) // step) * step for extent in (height, width))
    return height, width


@dataclass(frozen=True)
class NetworkMemory:
    """The memory that a network takes for a picture, in bytes.

    Attributes:
        on_device: where it runs.
        stored: of the machine's memory, in addition.
        strip_pixels: of the picture in a strip, or None if it is painted whole.
    """

    on_device: int
    stored: int = 0
    strip_pixels: int | None = None

    @property
    def total(self) -> int:
        """All memory."""
        return self.on_device + self.stored


def network_memory(style: Style, height: int, width: int, budget: int) -> NetworkMemory:
    """Decide whether a network paints a picture whole or in strips, and of which size, if it may take ``budget`` bytes.

    Even the narrowest strips may take more than that.
    """
    height, width = padded_size(height, width, style)
    each, pixels = style.bytes_per_pixel, height * width
    stored_each = None if each * pixels <= min(WHOLE_BYTES, budget) else _stored_bytes_per_pixel(style)
    if stored_each is None:
        return NetworkMemory(each * pixels)
    stored = int(stored_each * pixels)
    affordable = int((budget - stored) / (each * STRIP_FACTOR))
    strip = min(pixels, max(NARROWEST * width, min(STRIP_PIXELS, affordable)))
    return NetworkMemory(int(each * STRIP_FACTOR * strip), stored, strip)


def _stored_bytes_per_pixel(style: Style) -> float | None:
    """Return what strips of a style store for each pixel, or None if it does not run in strips."""
    return _measured(
        style.path, style.path.stat().st_mtime_ns, style.row_count, padded_size(TRACED_SIDE, TRACED_SIDE, style)
    )


@functools.lru_cache(maxsize=64)
def _measured(path: Path, modified: int, rows: int, size: tuple[int, int]) -> float | None:
    from plugin.engine.fast.strip_painting import stored_bytes
    from plugin.engine.fast.traced_network import UntraceableNetworkError, trace

    try:
        network = trace(read_model(path), *size, np.eye(1, rows, dtype=np.float32))
    except UntraceableNetworkError:
        return None
    return stored_bytes(network) / (size[0] * size[1])


def session_of(path: Path, provider: Provider) -> ort.InferenceSession:
    """Return the session of a style file, which is kept for the next painting."""
    return _session(path, path.stat().st_mtime_ns, provider)


@functools.lru_cache(maxsize=4)
def _session(path: Path, modified: int, provider: Provider) -> ort.InferenceSession:
    # ``modified`` makes a replaced file a new entry.
    return open_session(path, provider)


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
    check_values(styled)


def check_values(painted: np.ndarray) -> None:
    """Raise StyleError unless all values of a painting are numbers."""
    if not np.isfinite([painted.min(), painted.max()]).all():  # both are NaN if any value is
        raise StyleError(
            _("The style paints values that are no numbers, so its file is damaged; choose another style.")
        )
