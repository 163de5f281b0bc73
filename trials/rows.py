"""Train the two rows of one style: python -m trials.rows NAME OUT [options]; resumable, see --help.

Begins with the bundled style, or with --start, a checkpoint of one row or two.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.quality import PAINTINGS, trained_with
from export.from_onnx import read_base
from nst_core.photos import Photos, WithPeople
from nst_core.recipes import layers_from
from nst_core.settings import TrainSettings
from nst_core.train import Base, TrainProgress, load_checkpoint, train
from plugin.engine.style_library import find_styles
from plugin.training import LossLog
from trials.measure import DATA, features, raw


def settings_for(name: str, o: argparse.Namespace) -> TrainSettings:
    (style,) = find_styles(name)
    old = trained_with(style)
    layers, weights = layers_from(o.content_layers)
    bold = replace(old.objective, mean_weight=o.mean)
    if o.bold_content is not None:
        bold = replace(bold, content_weight=o.bold_content)
    style_weights = tuple(float(w) for w in o.style_weights.split(",")) if o.style_weights else bold.style_layer_weights
    faithful = replace(
        bold,
        content_layers=layers,
        content_layer_weights=weights,
        content_weight=o.content,
        mean_weight=o.faithful_mean if o.faithful_mean is not None else o.mean,
        style_layer_weights=style_weights,
        tv_weight=o.faithful_tv if o.faithful_tv is not None else bold.tv_weight,
    )
    return TrainSettings(
        objective=bold,
        network=replace(old.network, styles=2),
        steps=o.steps,
        batch=o.batch,
        crop=o.crop,
        style_size=old.style_size,
        grain=old.grain if o.grain is None else o.grain,
        learning_rate=o.learning_rate,
        mixed_precision=True,
        seed=o.seed,
        faithful=faithful,
        between=o.between,
        steady_weight=o.steady,
        row_rate=o.row_rate,
        people=o.people,
        **({"mesh_weight": o.mesh} if o.mesh is not None else {}),
    )


class Scaled:
    """Photos cropped to another least share of their short side."""

    def __init__(self, photos, least: float) -> None:
        self.photos, self.least = photos, least

    def __len__(self) -> int:
        return len(self.photos)

    def batch(self, step, count, size, seed, least=0.0, part=slice(None)):
        return self.photos.batch(step, count, size, seed, self.least, part)


def base(name: str, start: Path | None) -> Base:
    if start is not None and start.suffix == ".checkpoint":
        begun = load_checkpoint(start)
        rows = (0, 1) if begun.network.settings.styles == 2 else (0, 0)
        return Base(begun.network, begun.step + begun.earlier_steps, (name,) * begun.network.settings.styles, rows)
    (style,) = find_styles(name)
    return replace(read_base(start or style.path), rows=(0, 0))


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser()
    p.add_argument("name", choices=PAINTINGS)
    p.add_argument("out", type=Path)
    p.add_argument("--start", type=Path)
    p.add_argument("--content-layers", default="relu2_1=0.5,relu3_1,relu4_1")
    p.add_argument("--content", type=float, default=4.0)
    p.add_argument("--bold-content", type=float)
    p.add_argument("--style-weights")
    p.add_argument("--mean", type=float, default=2.0)
    p.add_argument("--faithful-mean", type=float, default=2.0)
    p.add_argument("--faithful-tv", type=float)
    p.add_argument("--mesh", type=float, default=8.0)
    p.add_argument("--grain", type=float)
    p.add_argument("--between", type=float, default=0.34)
    p.add_argument("--steady", type=float, default=3.0)
    p.add_argument("--row-rate", type=float, default=5.0)
    p.add_argument("--people", type=float, default=0.4)
    p.add_argument("--steps", type=int, default=400)
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--crop", type=int, default=256)
    p.add_argument("--least", type=float, default=0.6)
    p.add_argument("--learning-rate", type=float, default=0.0007)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=1)
    return p


def main() -> None:
    o = parser().parse_args()
    settings = settings_for(o.name, o)
    o.out.mkdir(parents=True, exist_ok=True)
    path = o.out / f"{o.name}.checkpoint"
    people = {k: [tuple(b) for b in v] for k, v in json.loads((DATA / "people.json").read_text()).items()}
    photos = WithPeople(Photos(DATA / "train.tar", settings.crop), people, settings.people)
    photos = Scaled(photos, o.least)
    earlier = load_checkpoint(path).step if path.exists() else 0
    begun = told = time.monotonic()
    first = earlier

    with LossLog(o.out / f"{o.name}.losses.csv", earlier) as log:

        def progress(step: TrainProgress) -> bool:
            nonlocal told
            log.add(step)
            if time.monotonic() - told > 20:
                told = time.monotonic()
                pace = (step.step - first) / (told - begun)
                parts = " ".join(f"{k} {v:.3f}" for k, v in step.losses.items())
                print(f"{o.name} {step.step}/{step.steps} {pace:.2f}/s {parts}", flush=True)
            return True

        torch.set_num_threads(o.threads)
        train([raw(o.name)], photos, features(), settings, progress, path, base(o.name, o.start), save_every=200)
    print(f"{o.name} done in {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
