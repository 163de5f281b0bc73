"""Width against quality against speed: networks of several shapes that learned one style for as many steps.

    python -m benchmarks.widths ASSETS OUT

ASSETS holds weights/, photos/ and styles/ as the tests' NEURAL_STYLE_ASSETS does. OUT gets widths.md, which goes to
standard output too, and for each shape a style file, its checkpoint and its losses. An interrupted run goes on where it
was. The trainings begin from scratch; their objective is the mean over held-out photos of at most 256 pixels a side.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.inference import CLASSIC, ONNX_RUNTIME, Way, open_way
from benchmarks.quality import PAINTINGS, PHOTOS_ON_CPU, chosen, load_named, painted, reduced
from benchmarks.yardstick import add_options, in_turns, machine, one_sentence, positive, ratio, settle, table, write
from nst_core.base.training_settings import TrainSettings, TransformerSettings
from nst_core.devices import choose_device
from nst_core.fast.style_pictures import prepare_style_picture
from nst_core.fast.train import TrainProgress
from nst_core.losses.metrics import SMALLEST_METRIC_SIDE
from nst_core.losses.objective import Objective
from nst_core.pictures.arrays import as_tensor
from nst_core.pictures.photos import Photos
from nst_core.style_file import StyleCard, read_styles
from plugin.cli.picture_files import read_picture
from plugin.engine.imaging.picture import network_input
from plugin.engine.training.style_training import TrainingRequest, train_styles

FEATURES = "vgg19_conv1_1-conv3_4_caffe+vgg19_distilled16x_conv5_1"
JUDGED_SIZE = 256
SHAPES = [TransformerSettings(w, end_kernel=k) for w, k in ((8, 5), (16, 5), (24, 5), (32, 5), (16, 9), (32, 9))]


@dataclass(frozen=True)
class Candidate:
    """A shape that learned the style: mean objective on held-out photos, and seconds of each run of its file."""

    shape: TransformerSettings
    objective: float
    seconds: Sequence[float]
    size: int  # of the file in bytes


@one_sentence("widths")
def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    device = choose_device(options.device)
    settle(options, device)
    candidates = measure(options, device)
    report = text(candidates, options, machine(device, options.threads))
    write(options.out / "widths.md", lambda path: path.write_text(report, encoding="utf-8"))
    print(report)


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("assets", type=Path, metavar="ASSETS")
    found.add_argument("out", type=Path, metavar="OUT")
    found.add_argument("--style", choices=PAINTINGS, default="starry-night", help="default starry-night")
    found.add_argument(
        "--shapes",
        type=lambda value: [shape(one) for one in value.split(",")],
        default=SHAPES,
        metavar="W/K,W/K,...",
        help="width and kernel at both ends of each (default 8/5,16/5,24/5,32/5,16/9,32/9)",
    )
    found.add_argument("--steps", type=positive, default=300, help="of each training (default 300)")
    found.add_argument("--crop", type=positive, default=160, help="side of a training photo in pixels (default 160)")
    found.add_argument("--batch", type=positive, default=4, help="photos a step (default 4)")
    found.add_argument("--photos", type=positive, default=PHOTOS_ON_CPU, metavar="N", help="how many judge (default 8)")
    add_options(found, sizes_on_cpu=(1024,), sizes_on_gpu=(1024,))
    return found


def shape(value: str) -> TransformerSettings:
    width, kernel = value.split("/")
    return TransformerSettings(int(width), end_kernel=int(kernel))


def measure(options: argparse.Namespace, device: torch.device) -> list[Candidate]:
    """Train, judge and time each shape; the runs that are timed take turns."""
    files = {shape: trained(shape, options) for shape in options.shapes}
    objectives = {shape: judged(path, options, device) for shape, path in files.items()}
    (size,) = options.sizes
    way = Way(ONNX_RUNTIME, "fp32")
    work = {repr(shape): open_way(way, path, size, device, options.threads) for shape, path in files.items()}
    seconds = in_turns(work, options.turns, options.clock)
    return [
        Candidate(shape, objectives[shape], seconds[repr(shape)], path.stat().st_size) for shape, path in files.items()
    ]


def trained(shape: TransformerSettings, options: argparse.Namespace) -> Path:
    """The style file of this shape, trained now or before."""
    settings = TrainSettings(
        network=shape, steps=options.steps, batch=options.batch, crop=options.crop, mixed_precision=True
    )
    output = options.out / f"width-{shape.width}-ends-{shape.end_kernel}.onnx"
    options.out.mkdir(parents=True, exist_ok=True)
    weights = options.assets / "weights"
    with tqdm(total=options.steps, desc=output.stem, unit="step") as bar:

        def shown(step: TrainProgress) -> bool:
            bar.update(step.step - bar.n)
            return True

        request = TrainingRequest(
            [read_picture(options.assets / "styles" / PAINTINGS[options.style]).picture],
            options.assets / "photos" / "train" / "train.tar",
            output,
            settings,
            features="+".join(str(weights / f"{part}.safetensors") for part in FEATURES.split("+")),
            pooling="max",
            device=options.device,
            from_scratch=True,
        )
        train_styles(request, [StyleCard(options.style)], shown, lambda words, part: None)
    return output


def judged(path: Path, options: argparse.Namespace, device: torch.device) -> float:
    """The mean objective of a style file's paintings of held-out photos, by what it was trained with."""
    (style,) = read_styles(path)
    features = load_named(FEATURES, options.assets / "weights").to(device)
    pixels = network_input(read_picture(options.assets / "styles" / PAINTINGS[options.style]).picture)
    painting = as_tensor(pixels).to(device)
    settings = TrainSettings()
    objective = Objective(features, settings.objective, [prepare_style_picture(painting, settings)])
    photos = Photos(options.assets / "photos" / "holdout.tar", SMALLEST_METRIC_SIDE)
    found = []
    for number in chosen(len(photos), options.photos):
        photo = reduced(photos.whole(number), JUDGED_SIZE).to(device)
        with torch.no_grad():
            found.append(objective(painted(style, photo), objective.content_targets(photo))["total"].item())
    return statistics.mean(found)


def text(candidates: Sequence[Candidate], options: argparse.Namespace, machine: str) -> str:
    """The report, in Markdown."""
    (size,) = options.sizes
    classic = next((c for c in candidates if c.shape == CLASSIC), None)
    rows = [
        (
            str(c.shape.width),
            f"{c.shape.end_kernel}x{c.shape.end_kernel}",
            f"{c.objective:.3f}",
            f"{statistics.median(c.seconds):.2f} s",
            f"{ratio(c.seconds, classic.seconds):.2f}" if classic else "",
            f"{c.size / 1e6:.1f} MB",
        )
        for c in candidates
    ]
    head = ("width", "ends", "objective", f"{size}x{size}", "of the classic network's", "file")
    return f"""# Width against quality against speed

Measured by `benchmarks/widths.py` on {machine}: {options.steps} steps from scratch for each shape, towards one painting
({options.style}). A step is of photos of {options.crop}x{options.crop} pixels, {options.batch} of them.

{table(head, rows)}

- *Objective*: of the training, the mean over {options.photos} held-out photos of at most {JUDGED_SIZE} pixels a side.
- *{size}x{size}*: one run in ONNX Runtime, {"processor time" if options.clock == "processor" else "median"} of \
{options.turns} turns; the classic network is Johnson's, width {CLASSIC.width} with {CLASSIC.end_kernel}x\
{CLASSIC.end_kernel} ends.
"""


if __name__ == "__main__":
    main()
