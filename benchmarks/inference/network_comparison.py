"""Time our network and the classic one in turns, in every backend and at every size."""

from __future__ import annotations

import gc
import hashlib
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import onnx
import torch

from benchmarks.inference import compared_networks
from benchmarks.inference.backends import BACKENDS, Backend, largest_differences, node_placement, open_backend
from benchmarks.measuring.command import TimingOptions, TimingSettings, prepare_timing
from benchmarks.measuring.costs import graph_cost
from benchmarks.measuring.first_calls import FirstCall, is_out_of_memory, measure_first_call
from benchmarks.measuring.machine import DTYPES, MatrixProduct, copy_bandwidth, describe_machine
from benchmarks.measuring.record_files import Record, cached_record
from benchmarks.measuring.timing import Deadline, median_ratio, time_in_turns
from nst_core.devices import choose_device
from nst_core.style_file import Style
from plugin.engine.fast.style_library import find_styles, list_styles
from plugin.engine.machine.provider import choose_provider

OURS, CLASSIC_NAME = "ours", "classic"  # the networks' names in the records


@dataclass(frozen=True)
class InferenceOptions:
    """The command's options.

    Attributes:
        out: the folder for the results.
        style: a name or a file; None for the first bundled style.
        minutes: when to start nothing new; None for no limit.
        device: as for ``choose_device``.
    """

    out: Path
    style: str | None
    minutes: float | None
    device: str
    timing: TimingOptions


@dataclass(frozen=True)
class StyleFiles:
    """The style files that are compared: by the network's name in float32, and in half precision if that is used."""

    float32: dict[str, Path]
    half: dict[str, Path]

    def for_precision(self, precision: str) -> dict[str, Path]:
        """Return each network's file for a precision; PyTorch converts the float32 file itself."""
        return self.float32 | (self.half if precision == "fp16" else {})

    @property
    def by_title(self) -> dict[str, Path]:
        """All files by network and precision in words."""
        titled = {f"{name} fp32": path for name, path in self.float32.items()}
        return titled | {f"{name} fp16": path for name, path in self.half.items()}


def compare_networks(options: InferenceOptions, folder: Path) -> Record:
    """Measure everything that the report contains; ``folder`` is for temporary files."""
    device = choose_device(options.device)
    if device.type not in BACKENDS:
        device = torch.device("cpu")  # ONNX Runtime has no other device here
    timing = prepare_timing(options.timing, device)
    (style, *_) = find_styles(options.style) if options.style else list_styles()
    provider = choose_provider(device.type, style.path)
    backends = BACKENDS[device.type]
    files = _write_style_files(style, backends, folder)
    bytes_per_second = copy_bandwidth(device, timing.turns, timing.clock)
    computer, deadline = describe_machine(device, timing.threads), Deadline(options.minutes)
    key = [
        computer,
        style.path.read_bytes(),
        timing.turns,
        timing.clock,
        timing.matrix,
        compared_networks.CLASSIC_SHAPE,
    ]
    digest = hashlib.sha256(repr(key).encode()).hexdigest()
    records: list[Record] = []
    for size in timing.sizes:
        for backend in backends:
            if deadline.reached():
                break
            raw = options.out / "raw" / f"{size} {backend}.json".replace(" ", "-").lower()
            measure = partial(_measure_pair, backend, files, size, timing, bytes_per_second)
            records += cached_record(raw, digest, measure)["records"]
    whole = len(records) == len(timing.sizes) * len(backends) * len(files.float32)
    return {
        "machine": computer,
        "whole": whole,
        "style": style.title,
        "clock": timing.clock,
        "turns": timing.turns,
        "bytes_per_second": bytes_per_second,
        "flops_per_second": matrix_rates(records),
        "placement": {title: node_placement(path, provider, folder) for title, path in files.by_title.items() if whole},
        "records": records,
        "ratios": time_ratios(records),
        "difference": largest_differences(
            backends if whole else (), files.half.get(OURS), style.path, timing.sizes[0], device, timing.threads
        ),
    }


def _write_style_files(style: Style, backends: Sequence[Backend], folder: Path) -> StyleFiles:
    float32, half = {OURS: style.path, CLASSIC_NAME: folder / "classic.onnx"}, {}
    compared_networks.write_classic_style(compared_networks.CLASSIC_SHAPE, float32[CLASSIC_NAME])
    if any(backend.precision == "fp16" for backend in backends):
        for name, path in float32.items():
            half[name] = compared_networks.write_half_precision(path, folder / f"{name}-fp16.onnx")
    return StyleFiles(float32, half)


def _measure_pair(
    backend: Backend, files: StyleFiles, size: int, timing: TimingSettings, bytes_per_second: float
) -> Record:
    """Time both networks in turns with a matrix product; return a record for each."""
    paths, device = files.for_precision(backend.precision), timing.device
    first_calls = {
        name: measure_first_call(device, timing.clock, open_backend, backend, path, size, device, timing.threads)
        for name, path in paths.items()
    }
    product = MatrixProduct(timing.matrix, backend.precision, device)
    calls = {"product": product.prepare()}
    records = []
    try:
        for name, path in paths.items():
            if first_calls[name]:
                calls[name] = open_backend(backend, path, size, device, timing.threads)
        seconds = time_in_turns(calls, timing.turns, timing.clock)
    except Exception as error:  # each runtime has its own kinds
        if not is_out_of_memory(error):
            raise
        seconds = {}
    finally:
        del calls
        gc.collect()
        torch.cuda.empty_cache()
    for name, path in paths.items():
        cost = graph_cost(onnx.load(path), size, size)
        record: Record = {"network": name, **backend.keys, "size": size, **asdict(cost)}
        records.append(record | evaluate_timings(record, first_calls[name], seconds, product, bytes_per_second))
    return {"records": records}


def evaluate_timings(
    record: Record,
    first: FirstCall | None,
    seconds: Mapping[str, Sequence[float]],
    product: MatrixProduct,
    bytes_per_second: float,
) -> Record:
    """Compare a network's timings with those of the matrix product in the same turns.

    Args:
        record: names the network and holds the cost of its convolutions.
        first: None if memory ran out in it; then the result has only ``seconds``: None.
        seconds: by the network's name, which is missing if memory ran out, and ``product``.
        product: the matrix product.
        bytes_per_second: of a memory copy.
    """
    own = seconds.get(record["network"])
    if first is None or own is None:
        return {"seconds": None}
    median = statistics.median(own)
    median_of_product = statistics.median(seconds["product"])
    share = record["flops"] / product.flops * median_ratio(seconds["product"], own)
    moving = record["values"] * DTYPES[record["precision"]].itemsize / bytes_per_second
    return {
        "first_seconds": first.seconds,
        "mib": first.mib,
        "seconds": median,
        "timings": list(own),
        "product_timings": list(seconds["product"]),
        "flops_per_second": product.flops / median_of_product,
        "share_of_matrix_rate": share,
        # A network can be faster neither than its operations nor than what it must read and write.
        "share_of_floor": max(share, moving / median),
    }


def time_ratios(records: Sequence[Record]) -> list[Record]:
    """Return our time divided by the classic network's, for each backend and size at which both ran."""
    ratios = []
    for ours in records:
        if ours["network"] != OURS or not ours["seconds"]:
            continue
        same = ("runtime", "precision", "how", "size")
        (classic,) = (r for r in records if r["network"] == CLASSIC_NAME and all(r[key] == ours[key] for key in same))
        if classic["seconds"]:
            ratio = median_ratio(ours["timings"], classic["timings"])
            ratios.append({key: ours[key] for key in same} | {"ratio": ratio})
    return ratios


def matrix_rates(records: Sequence[Record]) -> dict[str, float]:
    """Return the operations per second of the matrix product by precision: medians over all that ran with it."""
    by_precision: dict[str, list[float]] = {}
    for record in records:
        if record["seconds"]:
            by_precision.setdefault(record["precision"], []).append(record["flops_per_second"])
    return {precision: statistics.median(values) for precision, values in by_precision.items()}
