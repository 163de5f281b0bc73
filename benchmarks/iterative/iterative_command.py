"""Measure how fast an iterative render is, all methods judged by the same loss.

    python -m benchmarks.iterative OUT [ASSETS]

The methods are plain L-BFGS as the classic systems write it, plain L-BFGS in our engine, our default, and the feature
network compact. OUT gets iterative.md, which is printed too, iterative.svg and iterative.json. The features that judge
are those of ASSETS/weights (ASSETS holds weights/, photos/ and styles/ like the tests' NEURAL_STYLE_ASSETS). Without
ASSETS they are VGG-19 if it is on disk, otherwise compact.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks.iterative.iteration_costs import measure_cost
from benchmarks.iterative.iterative_report import iterative_report, plot_race
from benchmarks.iterative.methods import (
    PLAIN,
    Method,
    Pictures,
    RenderJob,
    best_features,
    choose_methods,
    choose_pictures,
    random_vgg19,
)
from benchmarks.iterative.race import run_race, standings
from benchmarks.measuring.command import (
    TimingOptions,
    TimingSettings,
    add_timing_options,
    exit_on_error,
    new_parser,
    positive,
    prepare_timing,
    read_timing_options,
)
from benchmarks.measuring.machine import describe_machine
from benchmarks.measuring.record_files import Record, write_file, write_json, write_text
from nst_core.base.iterative_settings import PRECISIONS
from nst_core.devices import choose_device
from nst_core.features.catalogue import load_features
from plugin.cli.figures.plots import check_matplotlib


@dataclass(frozen=True)
class ComparisonOptions:
    """The command's options.

    Attributes:
        out: the folder for the results.
        assets: the folder with weights, photos and paintings, or None.
        features: the features that judge, as for ``load_features``; None for the best of ASSETS.
        photo, painting: picture files; None for the defaults.
        size: of the race in pixels; None for a default that depends on the device.
        iterations: of plain L-BFGS in the race; None as for ``size``.
        precision: of all methods except the classic one.
        device: as for ``choose_device``.
    """

    out: Path
    assets: Path | None
    features: str | None
    photo: Path | None
    painting: Path | None
    size: int | None
    iterations: int | None
    precision: str
    device: str
    timing: TimingOptions


@exit_on_error("iterative")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    run(parse(arguments))


def run(options: ComparisonOptions) -> Record:
    """Measure, write the files in OUT, print the report, and return the record."""
    check_matplotlib()
    record = _measure(options)
    write_json(options.out / "iterative.json", record)
    report = iterative_report(record)
    write_text(options.out / "iterative.md", report)
    write_file(options.out / "iterative.svg", lambda path: plot_race(record, path))
    print(report)
    return record


def parse(arguments: Sequence[str] | None = None) -> ComparisonOptions:
    """Parse the command line."""
    given = _parser().parse_args(arguments)
    return ComparisonOptions(
        out=given.out,
        assets=given.assets,
        features=given.features,
        photo=given.photo,
        painting=given.painting,
        size=given.size,
        iterations=given.iterations,
        precision=given.precision,
        device=given.device,
        timing=read_timing_options(given),
    )


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("iterative", __doc__)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("assets", type=Path, nargs="?", metavar="ASSETS")
    parser.add_argument("--features", metavar="SOURCE", help="the features that judge, as in `neural-style render`")
    parser.add_argument("--photo", type=Path, help="a picture file (default one of ASSETS or our samples)")
    parser.add_argument("--painting", type=Path, help="a picture file (default one of ASSETS or our samples)")
    parser.add_argument("--size", type=positive, help="of the race in pixels (default 512 on a GPU, 256 on a CPU)")
    parser.add_argument(
        "--iterations", type=positive, help="of plain L-BFGS in the race (default 300 on a GPU, 100 on a CPU)"
    )
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="auto", help="of all methods except the classic one in float32"
    )
    add_timing_options(parser, sizes_on_cpu=(256,), sizes_on_gpu=(512, 1024, 2048))
    return parser


def _measure(options: ComparisonOptions) -> Record:
    """Measure everything that the report contains."""
    device = choose_device(options.device)
    if device.type == "mps":
        device = torch.device("cpu")  # neither the clock nor the memory can be read there
    timing = prepare_timing(options.timing, device)
    on_gpu = device.type == "cuda"
    size = options.size or (512 if on_gpu else 256)
    iterations = options.iterations or (300 if on_gpu else 100)
    source = options.features or (best_features(options.assets) if options.assets else "auto")
    pictures = choose_pictures(options.assets, options.photo, options.painting)
    methods = choose_methods(source, iterations, options.precision)
    curves = run_race(methods, pictures, size, device, timing.clock)
    costs = _measure_costs(methods, pictures, timing)
    return {
        "machine": describe_machine(device, timing.threads),
        "judge": load_features(source).name,
        "clock": timing.clock,
        "turns": timing.turns,
        "size": size,
        "photo": curves[PLAIN]["losses"][0],
        "race": standings(curves),
        "curves": curves,
        "costs": costs,
    }


def _measure_costs(methods: dict[str, Method], pictures: Pictures, timing: TimingSettings) -> list[Record]:
    """Measure an iteration of each method and of VGG-19's shape, at each size."""
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "vgg19.safetensors"
        save_file(random_vgg19(), weights)
        methods = methods | {"VGG-19's shape": Method(str(weights), methods["default"].settings)}
        return [
            measure_cost(name, RenderJob(method, pictures, size, timing.device), timing)
            for size in timing.sizes
            for name, method in methods.items()
        ]
