"""Paint with a network in strips: as the whole picture would be painted, in little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from nst_core.base.display_text import LONGEST_REASON, one_line
from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.base.onnx_runtime import ort
from plugin.engine.fast.sweeps import FEWEST_ROWS, HALF_SUFFIX, Affine, Moments, Sweep, SweepModel, plan_sweeps
from plugin.engine.fast.traced_network import FeatureMap, Rows, TracedNetwork
from plugin.engine.machine.provider import Provider, open_model, run_options
from plugin.engine.progress import Stopper

ReadRows = Callable[[Rows], np.ndarray]
"""Returns rows of a picture, float32 [rows, width, 3]."""


@dataclass(frozen=True, eq=False)
class StripRun:
    """How a network is run in strips.

    Attributes:
        provider: where.
        strip_pixels: the most pixels of the picture in a strip, unless FEWEST_ROWS have more.
        report: called with the share that is done, 0 to 1, after every strip.
        stopper: stops it.
    """

    provider: Provider
    strip_pixels: int
    report: Callable[[float], object] = lambda fraction: None
    stopper: Stopper = field(default_factory=Stopper)


def stored_bytes(network: TracedNetwork) -> int:
    """Return how much memory the feature maps take that are stored between sweeps."""
    return max(
        (2 * sum(item.channels * item.height * item.width for item in sweep.stored) for sweep in plan_sweeps(network)),
        default=0,
    )


def paint_strips(network: TracedNetwork, read: ReadRows, run: StripRun) -> Iterator[tuple[Rows, np.ndarray]]:
    """Paint a picture in strips from top to bottom: yield the rows of each, and the painting, float32 [rows, width, 3].

    ``read`` is called for overlapping rows, in several passes from top to bottom. If memory is short, the strips become
    smaller. Raises StyleError if it is too short even for the smallest, or if the runtime fails, and
    progress.StoppedError if the stopper stops it.
    """
    sweeps = plan_sweeps(network)
    store = _Store(sweeps)
    norms: dict[str, Affine] = {}
    strip_rows = max(FEWEST_ROWS, run.strip_pixels * sweeps[0].smallest // (network.image.height * network.image.width))
    for number, sweep in enumerate(sweeps):
        strips = _SweepStrips(sweep, SweepModel(sweep, norms, network.opset), store, read, run)
        moments = None
        if sweep.measured:
            channels = sweep.measured.input.channels
            moments = Moments(np.zeros(channels), np.zeros(channels))
        first = 0
        while first < sweep.smallest:
            strip = sweep.strip_from(first, strip_rows)
            try:
                results = strips.compute(strip)
            except MemoryError:
                if strip_rows <= FEWEST_ROWS:
                    raise StyleError(
                        _("There is not enough memory even for a narrow strip of the picture; close other programs.")
                    ) from None
                strip_rows //= 2
                continue
            first = strip.end
            if moments:
                moments.add(results[0], results[1], sweep.result.width)
            else:
                yield sweep.rows_of(sweep.result, strip), results[0][0].transpose(1, 2, 0)
            run.report((number + first / sweep.smallest) / len(sweeps))
        store.finish()
        if sweep.measured and moments:
            norms[sweep.measured.output.name] = moments.affine(sweep.measured)


class _Store:
    """The feature maps that one sweep leaves to the next, as float16 [channels, rows, width], one below the other.

    A sweep overwrites what it reads. Its own results are written one strip later, because the rows next to a strip are
    read twice.
    """

    def __init__(self, sweeps: list[Sweep]) -> None:
        stored = [sweep.stored for sweep in sweeps if sweep.stored]
        channels = max((sum(item.channels for item in maps) for maps in stored), default=0)
        height, width = (stored[0][0].height, stored[0][0].width) if stored else (0, 0)
        self._values = np.empty((channels, height, width), np.float16)
        self._old = self._new = dict[str, int]()
        self._waiting: list[tuple[str, Rows, np.ndarray]] = []

    def read(self, item: FeatureMap, rows: Rows) -> np.ndarray:
        """Return rows of a map, [1, channels, rows, width]."""
        first = self._old[item.name]
        return np.ascontiguousarray(self._values[None, first : first + item.channels, rows.first : rows.end])

    def write(self, results: Mapping[FeatureMap, np.ndarray], rows: Rows) -> None:
        """Keep a strip of maps, [1, channels, rows, width]."""
        self._write_waiting()
        first = 0
        for item, values in results.items():
            self._new = self._new | {item.name: first}
            first += item.channels
            self._waiting.append((item.name, rows, values))

    def finish(self) -> None:
        """End a sweep: what it wrote can be read."""
        self._write_waiting()
        self._old, self._new = self._new or self._old, {}

    def _write_waiting(self) -> None:
        for name, rows, values in self._waiting:
            first = self._new[name]
            self._values[first : first + values.shape[1], rows.first : rows.end] = values[0]
        self._waiting.clear()


class _SweepStrips:
    """Computes the strips of one sweep."""

    def __init__(self, sweep: Sweep, model: SweepModel, store: _Store, read: ReadRows, run: StripRun) -> None:
        self._sweep, self._model, self._store, self._read, self._run = sweep, model, store, read, run
        self._session: ort.InferenceSession | None = None

    def compute(self, strip: Rows) -> list[np.ndarray]:
        """Compute a strip and store what is to be stored. Return the other outputs.

        Raises MemoryError if memory is short; nothing has changed then.
        """
        self._run.stopper.check()
        needed = self._sweep.needed(strip)
        inputs = self._model.row_inputs(needed, strip)
        for source in self._sweep.sources:
            rows = needed[source.name]
            if source.name == "image":
                inputs[source.name] = np.ascontiguousarray(self._read(rows).transpose(2, 0, 1)[None])
            else:
                inputs[source.name + HALF_SUFFIX] = self._store.read(source, rows)
        outputs = self._run_session(inputs)
        stored = self._sweep.stored
        if stored:
            self._store.write(dict(zip(stored, outputs, strict=False)), strip)
        return outputs[len(stored) :]

    def _run_session(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        try:
            self._session = self._session or open_model(self._model.data, self._run.provider)
            options = run_options(self._session, keep_memory=True)
            with self._run.stopper.during(lambda: setattr(options, "terminate", True)):
                outputs: list[np.ndarray] = self._session.run(None, inputs, options)
            return outputs
        except Exception as error:  # the only base class of the runtime's own exceptions
            self._run.stopper.check()
            if isinstance(error, MemoryError) or "alloc" in str(error).lower() or "out of memory" in str(error):
                self._session = None  # it keeps memory
                raise MemoryError from error
            raise StyleError(
                _("ONNX Runtime could not run the style ({error}); try a smaller picture.").format(
                    error=one_line(str(error), LONGEST_REASON)
                )
            ) from error
