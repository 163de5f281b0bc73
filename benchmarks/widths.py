"""Compare networks of several widths: quality and speed after the same number of training steps.

    python -m benchmarks.widths ASSETS OUT

ASSETS holds weights/, photos/ and styles/ like the tests' NEURAL_STYLE_ASSETS. OUT gets widths.md, which is printed
too, and for each shape a style file, its checkpoint and its losses. An interrupted run continues where it was. The
trainings start from random weights; the objective is the mean over held-out photos of at most 256 pixels a side.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.inference.backends import ONNX_RUNTIME, Backend, open_backend
from benchmarks.inference.compared_networks import CLASSIC_SHAPE
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
from benchmarks.measuring.pictures import read_picture_tensor
from benchmarks.measuring.record_files import markdown_table, write_text
from benchmarks.measuring.timing import median_ratio, time_in_turns
from benchmarks.quality.scores import PHOTOS_ON_CPU, paint_photo, reduce_photo, spread_indices
from benchmarks.quality.style_subjects import PAINTINGS, StyleSubject, load_feature_network
from nst_core.base.training_settings import TrainSettings, TransformerSettings
from nst_core.devices import choose_device
from nst_core.fast.train import TrainProgress
from nst_core.losses.metrics import SMALLEST_METRIC_SIDE
from nst_core.pictures.photos import Photos
from nst_core.style_file import StyleCard, read_styles
from plugin.cli.picture_files import read_picture
from plugin.engine.training.style_training import TrainingRequest, train_styles

FEATURES = "vgg19_conv1_1-conv3_4_caffe+vgg19_distilled16x_conv5_1"
JUDGED_SIZE = 256  # longest side of the held-out photos in pixels
NETWORK_SHAPES = tuple(
    TransformerSettings(width, end_kernel=kernel)
    for width, kernel in ((8, 5), (16, 5), (24, 5), (32, 5), (16, 9), (32, 9))
)


@dataclass(frozen=True)
class WidthsOptions:
    """The command's options.

    Attributes:
        assets, out: the folders of inputs and results.
        style: a key of PAINTINGS.
        shapes: of the networks.
        steps, crop, batch: of each training.
        photos: how many held-out photos judge.
        device: as for ``choose_device``.
    """

    assets: Path
    out: Path
    style: str
    shapes: Sequence[TransformerSettings]
    steps: int
    crop: int
    batch: int
    photos: int
    device: str
    timing: TimingOptions

    @property
    def painting(self) -> Path:
        """The file of the style's painting."""
        return self.assets / "styles" / PAINTINGS[self.style]

    @property
    def weights(self) -> Path:
        """The folder with the weights of feature networks."""
        return self.assets / "weights"


@dataclass(frozen=True)
class Candidate:
    """A trained shape.

    Attributes:
        objective: the mean on held-out photos.
        seconds: of each run of its style file.
        size: of that file in bytes.
    """

    shape: TransformerSettings
    objective: float
    seconds: Sequence[float]
    size: int


@exit_on_error("widths")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command: measure, write the files in OUT, and print the report."""
    options = parse(arguments)
    device = choose_device(options.device)
    timing = prepare_timing(options.timing, device)
    candidates = _measure(options, timing)
    report = widths_report(candidates, options, timing, describe_machine(device, timing.threads))
    write_text(options.out / "widths.md", report)
    print(report)


def parse(arguments: Sequence[str] | None = None) -> WidthsOptions:
    """Parse the command line."""
    given = _parser().parse_args(arguments)
    return WidthsOptions(
        assets=given.assets,
        out=given.out,
        style=given.style,
        shapes=given.shapes,
        steps=given.steps,
        crop=given.crop,
        batch=given.batch,
        photos=given.photos,
        device=given.device,
        timing=read_timing_options(given),
    )


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("widths", __doc__)
    parser.add_argument("assets", type=Path, metavar="ASSETS")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--style", choices=PAINTINGS, default="starry-night", help="default starry-night")
    parser.add_argument(
        "--shapes",
        type=lambda value: tuple(parse_shape(part) for part in value.split(",")),
        default=NETWORK_SHAPES,
        metavar="W/K,W/K,...",
        help="width, and kernel at both ends, of each network (default 8/5,16/5,24/5,32/5,16/9,32/9)",
    )
    parser.add_argument("--steps", type=positive, default=300, help="of each training (default 300)")
    parser.add_argument("--crop", type=positive, default=160, help="side of a training photo in pixels (default 160)")
    parser.add_argument("--batch", type=positive, default=4, help="photos a step (default 4)")
    parser.add_argument(
        "--photos", type=positive, default=PHOTOS_ON_CPU, metavar="N", help="how many photos judge (default 8)"
    )
    add_timing_options(parser, sizes_on_cpu=(1024,), sizes_on_gpu=(1024,))
    return parser


def parse_shape(value: str) -> TransformerSettings:
    """Parse ``WIDTH/KERNEL``. Raises ValueError for anything else."""
    width, kernel = value.split("/")
    return TransformerSettings(int(width), end_kernel=int(kernel))


def _measure(options: WidthsOptions, timing: TimingSettings) -> list[Candidate]:
    """Train, judge and time each shape; the timed runs take turns."""
    files = {shape: _train(shape, options) for shape in options.shapes}
    objectives = {shape: _judge(path, options, timing.device) for shape, path in files.items()}
    (size,) = timing.sizes
    backend = Backend(ONNX_RUNTIME, "fp32")
    calls = {
        repr(shape): open_backend(backend, path, size, timing.device, timing.threads) for shape, path in files.items()
    }
    seconds = time_in_turns(calls, timing.turns, timing.clock)
    return [
        Candidate(shape, objectives[shape], seconds[repr(shape)], path.stat().st_size) for shape, path in files.items()
    ]


def _train(shape: TransformerSettings, options: WidthsOptions) -> Path:
    """Return the style file of a shape; train it unless an earlier run has."""
    settings = TrainSettings(
        network=shape, steps=options.steps, batch=options.batch, crop=options.crop, mixed_precision=True
    )
    output = options.out / f"width-{shape.width}-ends-{shape.end_kernel}.onnx"
    options.out.mkdir(parents=True, exist_ok=True)
    with tqdm(total=options.steps, desc=output.stem, unit="step") as bar:

        def progress(step: TrainProgress) -> bool:
            bar.update(step.step - bar.n)
            return True

        request = TrainingRequest(
            [read_picture(options.painting).picture],
            options.assets / "photos" / "train" / "train.tar",
            output,
            settings,
            features="+".join(str(options.weights / f"{part}.safetensors") for part in FEATURES.split("+")),
            pooling="max",
            device=options.device,
            from_scratch=True,
        )
        train_styles(request, [StyleCard(options.style)], progress, lambda stage, fraction: None)
    return output


def _judge(path: Path, options: WidthsOptions, device: torch.device) -> float:
    """Return the mean training objective of a style file's paintings of held-out photos."""
    (style,) = read_styles(path)
    features = load_feature_network(FEATURES, options.weights).to(device)
    subject = StyleSubject(style, read_picture_tensor(options.painting, device), features, TrainSettings())
    photos = Photos(options.assets / "photos" / "holdout.tar", SMALLEST_METRIC_SIDE)
    objectives = []
    for number in spread_indices(len(photos), options.photos):
        photo = reduce_photo(photos.whole(number), JUDGED_SIZE).to(device)
        objectives.append(subject.objective_function(photo)(paint_photo(style, photo)))
    return statistics.mean(objectives)


def widths_report(candidates: Sequence[Candidate], options: WidthsOptions, timing: TimingSettings, machine: str) -> str:
    """Format all that was measured, in Markdown."""
    (size,) = timing.sizes
    clock = ", CPU time" if timing.clock == "cpu" else ""
    return f"""# How wide a style's network should be

{options.steps} training steps from scratch for each shape, with {options.batch} photos of {options.crop}x{options.crop}
pixels a step, towards one painting ({options.style}). {machine}. Measured by `python -m benchmarks.widths`.

{_candidates_table(candidates, size)}

- *Width* is the number of channels at full resolution, *ends* the kernel of the first and the last convolution.
- *Objective* is the training objective, the mean over {options.photos} held-out photos of at most {JUDGED_SIZE} pixels
  a side.
- *{size}x{size}* is one run in ONNX Runtime{clock}, the median of {timing.turns} turns. The classic network is
  Johnson's, width {CLASSIC_SHAPE.width} with {CLASSIC_SHAPE.end_kernel}x{CLASSIC_SHAPE.end_kernel} ends.
"""


def _candidates_table(candidates: Sequence[Candidate], size: int) -> str:
    classic = next((candidate for candidate in candidates if candidate.shape == CLASSIC_SHAPE), None)
    rows = [
        (
            str(c.shape.width),
            f"{c.shape.end_kernel}x{c.shape.end_kernel}",
            f"{c.objective:.3f}",
            f"{statistics.median(c.seconds):.2f} s",
            f"{median_ratio(c.seconds, classic.seconds):.2f}" if classic else "",
            f"{c.size / 1e6:.1f} MB",
        )
        for c in candidates
    ]
    head = ("width", "ends", "objective", f"{size}x{size}", "relative to the classic network", "file")
    return markdown_table(head, rows)


if __name__ == "__main__":
    main()
