"""Measure how well the feature network compact replaces better ones: agreement, speed, and the pictures it makes.

    python -m benchmarks.compact ASSETS OUT

ASSETS holds weights/, photos/ and styles/ like the tests' NEURAL_STYLE_ASSETS. OUT gets compact.md, which is printed
too, compact.json, and a picture sheet for each painting: the photo, the render with compact, the render with the better
features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.iterative.methods import best_features, random_vgg19
from benchmarks.iterative.race import loss_at_size
from benchmarks.measuring.command import exit_on_error, new_parser, positive
from benchmarks.measuring.machine import describe_machine, synchronised
from benchmarks.measuring.pictures import read_picture_tensor
from benchmarks.measuring.record_files import Record, markdown_table, write_file, write_json, write_text
from benchmarks.measuring.timing import median_ratio, time_in_turns
from nst_core.base.device_names import DEVICES
from nst_core.base.objective_settings import GATYS_STYLE_LAYERS, ObjectiveSettings
from nst_core.base.presets import PRESETS
from nst_core.devices import choose_device
from nst_core.distill.agreement import agreement
from nst_core.features.catalogue import load_features
from nst_core.features.network import FeatureNetwork
from nst_core.features.vgg import build_vgg
from nst_core.iterative.render import render
from nst_core.losses.objective import Objective
from nst_core.pictures.arrays import as_array
from nst_core.pictures.photos import Photos
from nst_core.pictures.resize import resized_to_long_side

PAINTING_TITLES = {"starry_night": "The Starry Night", "wave": "The Great Wave"}
TIMED_SIZE, MEASURED_ITERATIONS = 512, 5


@dataclass(frozen=True)
class CompactOptions:
    """The command's options.

    Attributes:
        assets, out: the folders of inputs and results.
        network: the network that is judged, as for ``load_features``.
        features: the better features; None for those of ASSETS.
        size, iterations: of the renders.
        device: as for ``choose_device``.
    """

    assets: Path
    out: Path
    network: str
    features: str | None
    size: int
    iterations: int
    device: str


@exit_on_error("compact")
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    run(parse(arguments))


def run(options: CompactOptions) -> Record:
    """Measure, write the files in OUT, print the report, and return the record."""
    record = _measure(options)
    write_json(options.out / "compact.json", record)
    report = _report(record)
    write_text(options.out / "compact.md", report)
    print(report)
    return record


def parse(arguments: Sequence[str] | None = None) -> CompactOptions:
    """Parse the command line."""
    parser = new_parser("compact", __doc__)
    parser.add_argument("assets", type=Path, metavar="ASSETS")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--network", default="compact", help="another such network, a file (default compact)")
    parser.add_argument("--features", metavar="SOURCE", help="the better features (default those of ASSETS)")
    parser.add_argument("--size", type=positive, default=384, help="of the renders in pixels (default 384)")
    parser.add_argument("--iterations", type=positive, default=300, help="of the renders at that size (default 300)")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    return CompactOptions(**vars(parser.parse_args(arguments)))


def _measure(options: CompactOptions) -> Record:
    """Measure everything that the report contains."""
    device = choose_device(options.device)
    compact = load_features(options.network).to(device)
    teacher = load_features(options.features or best_features(options.assets)).to(device)
    held_out = Photos(options.assets / "photos/holdout.tar", 128)
    photos = (held_out.whole(number).to(device) for number in range(len(held_out)))
    return {
        "machine": describe_machine(device, torch.get_num_threads()),
        "network": compact.name,
        "teacher": teacher.name,
        "photos": len(held_out),
        "size": options.size,
        "iterations": options.iterations,
        "agreement": agreement(compact, teacher, photos, GATYS_STYLE_LAYERS),
        "time_ratio": _time_ratio(compact, device),
        "renders": [_compare_renders(name, compact, teacher, options) for name in PAINTING_TITLES],
    }


def _compare_renders(name: str, compact: FeatureNetwork, teacher: FeatureNetwork, options: CompactOptions) -> Record:
    """Return the teacher's losses of the photo and of its renders by each network, and write their sheet."""
    device = choose_device(options.device)
    settings = replace(PRESETS["default"].settings, size=options.size, iterations=options.iterations)
    photo = read_picture_tensor(options.assets / "photos/eval/tubingen.jpg", device)
    photo = resized_to_long_side(photo, settings.size)
    style = read_picture_tensor(options.assets / f"styles/{name}.jpg", device)
    # The teacher shows how far a render can get, and L-BFGS gets furthest.
    methods = ((compact, settings), (teacher, replace(settings, optimizer="lbfgs")))
    results = [render(photo, style, network, method, lambda _: True).image for network, method in methods]
    loss = loss_at_size(teacher, settings.objective, photo, style, settings.size)
    losses = [loss(image) for image in (photo, *results)]
    sheet = np.round(as_array(torch.cat([photo, *results], 3)) * 255).astype(np.uint8)
    write_file(options.out / f"{name}.png", lambda path: Image.fromarray(sheet).save(path))
    share = (losses[0] - losses[1]) / (losses[0] - losses[2])
    return {
        "painting": PAINTING_TITLES[name],
        **dict(zip(("photo", "compact", "teacher"), losses, strict=True)),
        "share": share,
    }


def _time_ratio(compact: FeatureNetwork, device: torch.device) -> float:
    """Return the time of an iteration with ``compact`` relative to VGG-19 of the same depth, taken in turns."""
    image = torch.rand(1, 3, TIMED_SIZE, TIMED_SIZE, device=device)
    networks = {"compact": compact, "vgg19": build_vgg("timed", random_vgg19(), "vgg19").to(device)}
    calls = {name: synchronised(_iteration(network, image), device) for name, network in networks.items()}
    seconds = time_in_turns(calls, MEASURED_ITERATIONS)
    return median_ratio(seconds["compact"], seconds["vgg19"])


def _iteration(network: FeatureNetwork, image: Tensor) -> Callable[[], None]:
    """Return a function that computes the objective of ``image`` and its gradient."""
    objective = Objective(network, ObjectiveSettings(), [image.flip(3)])
    targets = objective.content_targets(image)

    def iterate() -> None:
        x = image.clone().requires_grad_(True)
        objective(x, targets)["total"].backward()

    return iterate


def _report(record: Record) -> str:
    """Format all that was measured, in Markdown."""
    return f"""# How well {record["network"]} replaces better features

{record["machine"]}. Measured by `python -m benchmarks.compact`; the better features are {record["teacher"]}.

The median over the channels of the correlation with them, over every pixel of {record["photos"]} photos that the
training did not see:

{agreement_table({record["network"]: record["agreement"]})}

The objective and its gradient at {TIMED_SIZE}x{TIMED_SIZE} take {record["time_ratio"]:.2f} of the time that they take
with VGG-19's shape to the same depth.

Losses of a photo and of its renders, computed with the better features ({record["size"]} pixels,
{record["iterations"]} iterations):

{renders_table(record["renders"])}
"""


def agreement_table(agreements: Mapping[str, Mapping[str, float]]) -> str:
    """Format a row for each network, with a column for each layer."""
    rows = [
        [name, *(f"{by_layer[layer]:.3f}" for layer in GATYS_STYLE_LAYERS)] for name, by_layer in agreements.items()
    ]
    return markdown_table(["network", *GATYS_STYLE_LAYERS], rows)


def renders_table(renders: Sequence[Record]) -> str:
    """Format a row for each painting."""
    keys = ("photo", "compact", "teacher", "share")
    rows = [[r["painting"], *(f"{r[key]:.3f}" for key in keys)] for r in renders]
    return markdown_table(["painting", "photo", "by compact", "by the better features", "share of the drop"], rows)


if __name__ == "__main__":
    main()
