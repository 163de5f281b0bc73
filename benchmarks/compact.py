"""How well the feature network ``compact`` stands in for better ones: agreement, speed, and the pictures it makes.

    python benchmarks/compact.py ASSETS OUT

ASSETS holds weights/, photos/ and styles/ as the tests' NEURAL_STYLE_ASSETS does. OUT gets one picture sheet per
painting: the photo, the render with compact, the render with the better features. The figures go to standard output.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nst_core.distill import agreement
from nst_core.features import CONVOLUTIONS_PER_BLOCK, FeatureNetwork, vgg
from nst_core.objective import Objective
from nst_core.optimize import render
from nst_core.photos import Photos
from nst_core.pictures import resized_to_area, resized_to_long_side
from nst_core.settings import GATYS_STYLE_LAYERS, ObjectiveSettings, RenderSettings
from nst_core.weights import load_features

BETTER = "weights/vgg19_conv1_1-conv3_4_caffe.safetensors+weights/vgg19_distilled16x_conv5_1.safetensors"
PAINTINGS = {"starry_night": "The Starry Night", "wave": "The Great Wave"}
SETTINGS = RenderSettings(size=384)
# The better features are to show how far one can get, and L-BFGS gets furthest.
SETTINGS_OF_BETTER = replace(SETTINGS, optimizer="lbfgs")
TIMED_SIZE, TIMED_ITERATIONS = 512, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("assets", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    compact = load_features("compact")
    better = load_features("+".join(str(options.assets / part) for part in BETTER.split("+")))

    held_out = Photos(options.assets / "photos/holdout.tar", 128)
    pictures = (held_out.whole(i) for i in range(len(held_out)))
    for layer, value in agreement(compact, better, pictures, GATYS_STYLE_LAYERS).items():
        print(f"agreement {layer}: {value:.3f}")

    print(f"an iteration at {TIMED_SIZE}x{TIMED_SIZE}: {time_ratio(compact):.3f} of VGG-19's")

    photo = resized_to_long_side(read(options.assets / "photos/eval/tubingen.jpg"), SETTINGS.size)
    for name, title in PAINTINGS.items():
        style = read(options.assets / f"styles/{name}.jpg")
        networks = ((compact, SETTINGS), (better, SETTINGS_OF_BETTER))
        results = [render(photo, style, network, settings, lambda _: True).image for network, settings in networks]
        losses = [loss(better, photo, style, image) for image in (photo, *results)]
        share = (losses[0] - losses[1]) / (losses[0] - losses[2])
        print(f"{title}, by the better features: photo {losses[0]:.3f}, compact {losses[1]:.3f}, ", end="")
        print(f"better {losses[2]:.3f}; share of the drop {share:.3f}")
        sheet = torch.cat([photo, *results], 3)[0].permute(1, 2, 0).numpy()
        Image.fromarray(np.round(sheet * 255).astype(np.uint8)).save(options.out / f"{name}.png")


def loss(network: FeatureNetwork, photo: Tensor, style: Tensor, image: Tensor) -> float:
    """The default objective of ``image`` by the features of ``network``."""
    height, width = photo.shape[-2:]
    objective = Objective(network, SETTINGS.objective, [resized_to_area(style, (height * width) ** 0.5)])
    with torch.no_grad():
        return objective(image, objective.content_targets(photo))["total"].item()


def time_ratio(compact: FeatureNetwork) -> float:
    """Time of an iteration with ``compact`` over that with VGG-19 to the same depth, taken in turns.

    VGG-19's weights are random here: only their shapes matter for the time.
    """
    state, index, into = {}, 0, 3
    for block, count in enumerate((*CONVOLUTIONS_PER_BLOCK["vgg19"][:4], 1), 1):
        out = 64 * 2 ** min(block - 1, 3)
        for _ in range(count):
            state[f"features.{index}.weight"] = torch.randn(out, into, 3, 3) * (2 / (into * 9)) ** 0.5
            state[f"features.{index}.bias"] = torch.zeros(out)
            into, index = out, index + 2
        index += 1
    image = torch.rand(1, 3, TIMED_SIZE, TIMED_SIZE)
    settings = replace(ObjectiveSettings(), content_layers=("relu4_1",))
    totals = [0.0, 0.0]
    objectives = [Objective(n, settings, [image.flip(3)]) for n in (compact, vgg("timed", state, "vgg19"))]
    targets = [objective.content_targets(image) for objective in objectives]
    for turn in range(TIMED_ITERATIONS + 1):
        for i, objective in enumerate(objectives):
            x = image.clone().requires_grad_(True)
            start = time.perf_counter()
            objective(x, targets[i])["total"].backward()
            if turn:  # the first one warms up
                totals[i] += time.perf_counter() - start
    return totals[0] / totals[1]


def read(path: Path) -> Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 255


if __name__ == "__main__":
    main()
