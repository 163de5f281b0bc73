"""How well the feature network ``compact`` stands in for better ones: agreement, speed, and the pictures it makes.

    python -m benchmarks.compact ASSETS OUT

ASSETS holds weights/, photos/ and styles/ as the tests' NEURAL_STYLE_ASSETS does. OUT gets compact.md, which goes to
standard output too, compact.json, and one picture sheet per painting: the photo, the render with compact, the render
with the better features.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.iterative import better, judge, random_vgg19, read
from benchmarks.yardstick import in_turns, machine, one_sentence, positive, ratio, table, waiting, write
from nst_core.base.device_names import DEVICES
from nst_core.base.iterative_settings import IterativeSettings
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

PAINTINGS = {"starry_night": "The Starry Night", "wave": "The Great Wave"}
TIMED_SIZE, TIMED_ITERATIONS = 512, 5

Record = dict[str, Any]


@one_sentence("compact")
def main(arguments: Sequence[str] | None = None) -> None:
    run(parser().parse_args(arguments))


def run(options: argparse.Namespace) -> Record:
    """Measure, write and print what the options ask for."""
    found = measure(options)
    write(options.out / "compact.json", lambda path: path.write_text(json.dumps(found, indent=1)))
    report = text(found)
    write(options.out / "compact.md", lambda path: path.write_text(report, encoding="utf-8"))
    print(report)
    return found


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("assets", type=Path, metavar="ASSETS")
    found.add_argument("out", type=Path, metavar="OUT")
    found.add_argument("--network", default="compact", help="another such network, a file (default compact)")
    found.add_argument("--features", metavar="SOURCE", help="the better ones (default those of ASSETS)")
    found.add_argument("--size", type=positive, default=384, help="of the renders in pixels (default 384)")
    found.add_argument("--iterations", type=positive, default=300, help="of the renders at that size (default 300)")
    found.add_argument("--device", choices=DEVICES, default="auto")
    return found


def measure(options: argparse.Namespace) -> Record:
    """All that the report tells."""
    device = choose_device(options.device)
    compact = load_features(options.network).to(device)
    teacher = load_features(options.features or better(options.assets)).to(device)
    held_out = Photos(options.assets / "photos/holdout.tar", 128)
    pictures = (held_out.whole(i).to(device) for i in range(len(held_out)))
    agreed = agreement(compact, teacher, pictures, GATYS_STYLE_LAYERS)
    settings = replace(PRESETS["default"].settings, size=options.size, iterations=options.iterations)
    return {
        "machine": machine(device, torch.get_num_threads()),
        "network": compact.name,
        "teacher": teacher.name,
        "photos": len(held_out),
        "size": options.size,
        "iterations": options.iterations,
        "agreement": agreed,
        "time_ratio": time_ratio(compact, device),
        "renders": [compare(name, (compact, teacher), settings, options, device) for name in PAINTINGS],
    }


def compare(
    name: str,
    networks: tuple[FeatureNetwork, FeatureNetwork],
    settings: IterativeSettings,
    options: argparse.Namespace,
    device: torch.device,
) -> Record:
    """The losses, by the teacher, of the photo and of its renders by each of the networks; and their sheet."""
    compact, teacher = networks
    photo = resized_to_long_side(read(options.assets / "photos/eval/tubingen.jpg", device), settings.size)
    style = read(options.assets / f"styles/{name}.jpg", device)
    # The teacher is to show how far one can get, and L-BFGS gets furthest.
    ways = ((compact, settings), (teacher, replace(settings, optimizer="lbfgs")))
    results = [render(photo, style, network, way, lambda _: True).image for network, way in ways]
    loss = judge(teacher, settings.objective, photo, style, settings.size)
    losses = [loss(image) for image in (photo, *results)]
    sheet = np.round(as_array(torch.cat([photo, *results], 3)) * 255).astype(np.uint8)
    write(options.out / f"{name}.png", lambda path: Image.fromarray(sheet).save(path))
    share = (losses[0] - losses[1]) / (losses[0] - losses[2])
    return {
        "painting": PAINTINGS[name],
        **dict(zip(("photo", "compact", "teacher"), losses, strict=True)),
        "share": share,
    }


def time_ratio(compact: FeatureNetwork, device: torch.device) -> float:
    """Time of an iteration with ``compact`` over that with VGG-19 to the same depth, taken in turns."""
    image = torch.rand(1, 3, TIMED_SIZE, TIMED_SIZE, device=device)
    networks = {"compact": compact, "vgg19": build_vgg("timed", random_vgg19(), "vgg19").to(device)}
    work = {name: waiting(_iteration(network, image), device) for name, network in networks.items()}
    seconds = in_turns(work, TIMED_ITERATIONS)
    return ratio(seconds["compact"], seconds["vgg19"])


def _iteration(network: FeatureNetwork, image: Tensor) -> Any:
    objective = Objective(network, ObjectiveSettings(), [image.flip(3)])
    targets = objective.content_targets(image)

    def iterate() -> None:
        x = image.clone().requires_grad_(True)
        objective(x, targets)["total"].backward()

    return iterate


def text(found: Record) -> str:
    """The tables and what they say, as Markdown."""
    return f"""# How well {found["network"]} stands in

{found["machine"]}. Measured by `benchmarks/compact.py`; the better features are {found["teacher"]}.

The median over the channels of the correlation with them, over every pixel of {found["photos"]} photos that it has not
seen:

{agreement_table({found["network"]: found["agreement"]})}

An iteration at {TIMED_SIZE}x{TIMED_SIZE} takes {found["time_ratio"]:.2f} of the time that VGG-19's shape to the same
depth takes.

Losses, by the better features, of a photo and of its renders ({found["size"]} pixels, {found["iterations"]}
iterations):

{renders_table(found["renders"])}
"""


def agreement_table(found: Mapping[str, Mapping[str, float]]) -> str:
    """A row for each network."""
    rows = [[name, *(f"{by_layer[layer]:.3f}" for layer in GATYS_STYLE_LAYERS)] for name, by_layer in found.items()]
    return table(["network", *GATYS_STYLE_LAYERS], rows)


def renders_table(found: Sequence[Record]) -> str:
    """A row for each painting."""
    keys = ("photo", "compact", "teacher", "share")
    rows = [[r["painting"], *(f"{r[key]:.3f}" for key in keys)] for r in found]
    return table(["painting", "photo", "by compact", "by the better features", "share of the drop"], rows)


if __name__ == "__main__":
    main()
