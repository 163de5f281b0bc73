"""How good the trained styles are: what each is worth in iterations of a render, and what spoils a picture.

    python -m benchmarks.quality ASSETS OUT

ASSETS holds weights/, photos/ and styles/ as the tests' NEURAL_STYLE_ASSETS does. OUT gets quality.md, which goes to
standard output too, quality.svg, and raw/ with two files for each photo in each style. An interrupted run goes on where
it was; what has changed since (a style, a painting, the features, the settings) is measured anew. Remove raw/ after a
change to what is measured.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.yardstick import kept, numbers, one_sentence, positive, table, write
from nst_core.base.device_names import DEVICES
from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import PLAIN_SETTINGS, PRECISIONS
from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.base.training_settings import TrainSettings, TransformerSettings
from nst_core.devices import choose_device
from nst_core.fast.style_pictures import prepare_style_picture
from nst_core.features.catalogue import load_features
from nst_core.features.network import FeatureNetwork
from nst_core.iterative.render import IterativeProgress, RenderOptions, render
from nst_core.losses.metrics import SMALLEST_METRIC_SIDE, STRIP, appearance
from nst_core.losses.objective import Objective
from nst_core.pictures.arrays import as_array, as_tensor
from nst_core.pictures.photos import Photos
from nst_core.pictures.resize import resized_to_long_side
from nst_core.style_file import Style
from plugin.cli.figures.plots import check_matplotlib
from plugin.cli.picture_files import read_picture
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles, list_styles
from plugin.engine.imaging.picture import Picture, network_input

# The files in ASSETS/styles of the styles that come with Neural Style.
PAINTINGS = {
    "great-wave": "wave.jpg",
    "udnie": "udnie.jpg",
    "rain-princess": "rain_princess.jpg",
    "la-muse": "la_muse.jpg",
    "the-scream": "the_scream.jpg",
    "shipwreck": "wreck.jpg",
    "starry-night": "starry_night.jpg",
    "composition-vii": "composition_vii.jpg",
    "edtaonisl": "edtaonisl.jpg",
    "metzinger": "delaunay_metzinger.jpg",
    "woman-with-hat": "woman_with_hat.jpg",
    "wheat-field": "vangogh_wheatfield.jpg",
}
STARTS = ("noise", "photo")
PHOTOS_ON_CPU = 8

Record = dict[str, Any]


@one_sentence("quality")
def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    check_matplotlib()
    subjects = read_subjects(options)
    records = measure_all(subjects, options)
    report = text(records, options)
    write(options.out / "quality.md", lambda path: path.write_text(report, encoding="utf-8"))
    write(options.out / "quality.svg", lambda path: plot(records, path))
    print(report)


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("assets", type=Path, metavar="ASSETS")
    found.add_argument("out", type=Path, metavar="OUT")
    add_styles(found)
    found.add_argument(
        "--photos",
        type=positive,
        metavar="N",
        help=f"how many held-out photos (default {PHOTOS_ON_CPU} on a CPU, all on a GPU)",
    )
    found.add_argument("--size", type=positive, default=256, help="longest side of a photo in pixels (default 256)")
    found.add_argument(
        "--iterations",
        type=numbers,
        default=(10, 25, 50, 100, 200),
        metavar="N,N,...",
        help="after how many the render is judged (default 10,25,50,100,200)",
    )
    found.add_argument("--precision", choices=PRECISIONS, default="float32", help="of the renders (default float32)")
    found.add_argument("--device", choices=DEVICES, default="auto")
    return found


def add_styles(parser: argparse.ArgumentParser) -> None:
    """The options that say which styles, and what was painted."""
    parser.add_argument(
        "--style", action="append", metavar="STYLE", help="a name or a file; once for each (default all)"
    )
    parser.add_argument(
        "--painting",
        action="append",
        default=[],
        type=name_and_file,
        metavar="NAME=FILE",
        help="the painting of a style that does not come with Neural Style",
    )


def name_and_file(value: str) -> tuple[str, Path]:
    name, file = value.split("=", 1)
    return name, Path(file)


# ---- what is measured -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Subject:
    """A style and what it was trained towards: its painting ([1, 3, h, w] in 0..1), by which features and losses."""

    style: Style
    painting: Tensor
    features: FeatureNetwork
    settings: TrainSettings

    @property
    def objective(self) -> ObjectiveSettings:
        return self.settings.objective

    @property
    def style_picture(self) -> Tensor:
        """The painting as the losses see it."""
        return prepare_style_picture(self.painting, self.settings)

    @property
    def style_size(self) -> int:
        return self.settings.style_size


def read_subjects(options: argparse.Namespace) -> list[Subject]:
    """The styles that were asked for. Raises StyleError if what one was trained with is not said or not there."""
    device = choose_device(options.device)
    styles = [style for name in options.style for style in find_styles(name)] if options.style else list_styles()
    networks: dict[str, FeatureNetwork] = {}
    subjects = []
    for style in styles:
        settings, file = trained_with(style), painting_of(style, options)
        name = style.trained["feature_network"]
        if name not in networks:
            networks[name] = load_named(name, options.assets / "weights").to(device)
        pixels = network_input(read_picture(file).picture)
        painting = as_tensor(pixels).to(device)
        subjects.append(Subject(style, painting, networks[name], settings))
    return subjects


def painting_of(style: Style, options: argparse.Namespace) -> Path:
    """The file of a style's painting. Raises StyleError if it is not known."""
    files = {name: options.assets / "styles" / file for name, file in PAINTINGS.items()} | dict(options.painting)
    if style.name not in files:
        raise StyleError(f"The painting of {style.name} is not known; give it with --painting {style.name}=FILE.")
    return files[style.name]


def trained_with(style: Style) -> TrainSettings:
    """The settings that a style was trained with, from its description.

    Raises StyleError if the description does not have them, as with a style that was imported.
    """
    try:
        given = json.loads(style.trained["settings"])
        lists = {name: tuple(v) if isinstance(v, list) else v for name, v in given.pop("objective").items()}
        network = TransformerSettings(**given.pop("network"))
        return TrainSettings(objective=ObjectiveSettings(**lists), network=network, **given)
    except (KeyError, TypeError, ValueError) as error:
        raise StyleError(f"{style.name} does not say how it was trained; choose others with --style.") from error


def load_named(name: str, weights: Path) -> FeatureNetwork:
    """The feature network that a style's description names; its files are in the folder ``weights``."""
    return load_features(*features_named(name, weights))


def features_named(name: str, weights: Path) -> tuple[str, str]:
    """Source and pooling, for ``load_features``, of the feature network that a style's description names.

    Its files are in the folder ``weights``.
    """
    files = {path.stem: path for path in sorted(weights.glob("*.*"))}
    parts = [part.removesuffix("-average") for part in name.split("+")]
    pooling = "average" if name.endswith("-average") else "max"
    return "+".join(str(files.get(part, part)) for part in parts), pooling


def measure_all(subjects: Sequence[Subject], options: argparse.Namespace) -> list[Record]:
    """A record for each photo in each style; all styles of a photo before the next photo."""
    device = choose_device(options.device)
    photos = Photos(options.assets / "photos" / "holdout.tar", SMALLEST_METRIC_SIDE)
    count = options.photos or (PHOTOS_ON_CPU if device.type == "cpu" else len(photos))
    pairs = [(number, subject) for number in chosen(len(photos), count) for subject in subjects]
    return [
        measure(subject, number, reduced(photos.whole(number), options.size).to(device), options)
        for number, subject in tqdm(pairs, unit="picture")
    ]


def measure(subject: Subject, number: int, photo: Tensor, options: argparse.Namespace) -> Record:
    """The record of one photo in one style.

    What the renders cost is in no proportion to the rest, and another network changes nothing about them: they are kept
    in a file of their own.
    """
    folder = options.out / "raw" / subject.style.name
    objective = Objective(subject.features, subject.objective, [subject.style_picture])
    targets = objective.content_targets(photo)

    def judge(image: Tensor) -> float:
        with torch.no_grad():
            return objective(image, targets)["total"].item()

    key = fingerprint(subject, photo)
    style_file = hashlib.sha256(subject.style.path.read_bytes()).hexdigest()
    renders = kept(
        folder / f"{number:03}.render.json",
        f"{key} {options.iterations} {options.precision}",
        lambda: render_scores(subject, photo, options.iterations, number, judge, options.precision),
    )
    fast = kept(
        folder / f"{number:03}.fast.json",
        f"{key} {style_file} {subject.style.index}",
        lambda: fast_scores(subject.style, photo, judge),
    )
    named = {"style": subject.style.name, "title": subject.style.title, "photo": number}
    return named | {"iterations": list(options.iterations), "fast": fast, **renders}


def reduced(photo: Tensor, size: int) -> Tensor:
    """The photo with its longer side at most ``size``. Raises StyleError if that leaves too little."""
    photo = resized_to_long_side(photo, min(size, max(photo.shape[-2:])))
    if min(photo.shape[-2:]) < SMALLEST_METRIC_SIDE:
        raise StyleError(
            f"At a size of {size} a photo is narrower than {SMALLEST_METRIC_SIDE} pixels; give a larger --size."
        )
    return photo


def chosen(available: int, count: int) -> list[int]:
    """The indices of ``count`` photos, evenly spread, always the same."""
    count = min(count, available)
    return [number * available // count for number in range(count)]


def fingerprint(subject: Subject, photo: Tensor) -> str:
    """A digest of the photo, and of all that tells how near to a style a picture of it is."""
    digest = hashlib.sha256(repr((subject.objective, subject.style_size)).encode())
    for value in (photo, subject.style_picture, *subject.features.state_dict().values()):
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def fast_scores(style: Style, photo: Tensor, judge: Callable[[Tensor], float]) -> Record:
    """The objective of the fast result of ``photo`` ([1, 3, H, W], 0..1), and what ``look`` says of it."""
    result = painted(style, photo)
    return {"objective": judge(result), "look": appearance(result[0], photo[0])}


def render_scores(
    subject: Subject,
    photo: Tensor,
    iterations: Sequence[int],
    seed: int,
    judge: Callable[[Tensor], float],
    precision: str,
) -> Record:
    """The objective of renders of ``photo`` ([1, 3, H, W], 0..1) from each of STARTS after each of ``iterations``.

    ``look`` is what the function says of the last one from the photo.
    """
    noise = torch.rand(photo.shape, generator=torch.Generator().manual_seed(seed)).to(photo.device)
    starts = dict(zip(STARTS, (noise, photo), strict=True))
    found = {
        start: rendered(subject, photo, initial, iterations, judge, precision) for start, initial in starts.items()
    }
    return {
        "render": {start: values for start, (values, _) in found.items()},
        "look": appearance(found["photo"][1][0], photo[0]),
    }


def painted(style: Style, photo: Tensor) -> Tensor:
    """The fast result as anybody gets it: [1, 3, H, W] to the same."""
    rgb = as_array(photo)
    picture = Picture(np.dstack([rgb, np.ones_like(rgb[..., :1])]))
    pixels = paint_fast(picture, {style: 1.0}, FastSettings(device="cpu")).pixels
    return as_tensor(pixels[..., :3]).contiguous().to(photo.device)


def rendered(
    subject: Subject,
    photo: Tensor,
    initial: Tensor,
    iterations: Sequence[int],
    judge: Callable[[Tensor], float],
    precision: str,
) -> tuple[list[float], Tensor]:
    """What ``judge`` says after each of ``iterations`` of plain L-BFGS, and the last picture.

    An iteration is one evaluation of the objective and its gradient. The picture is judged as it would be kept, with
    its values clipped to 0..1, where the network's are too.
    """
    values = []

    def progress(step: IterativeProgress) -> bool:
        if step.iteration in iterations:
            values.append(judge(step.image))
        return True

    height, width = photo.shape[-2:]
    settings = replace(
        PLAIN_SETTINGS,
        objective=subject.objective,
        size=max(height, width),
        style_scale=subject.style_size / (height * width) ** 0.5,
        optimizer="lbfgs",
        iterations=max(iterations),
        precision=precision,
    )
    done = render(photo, subject.style_picture, subject.features, settings, progress, RenderOptions(initial))
    # A render whose loss is no number any more ends there.
    return values + values[-1:] * (len(iterations) - len(values)), done.image


# ---- the scores -------------------------------------------------------------------------------------------------


def worth(fast: float, iterations: Sequence[int], objectives: Sequence[float]) -> float:
    """How many iterations bring the objective down to ``fast``.

    Between the measured points the logarithm of the objective is taken to be linear in the logarithm of the iterations,
    and a picture once reached is kept, should a later one be worse. 0 if less than the first point, infinite if
    more than the last: nothing was measured there.
    """
    best = np.minimum.accumulate(objectives)
    if fast > best[0]:
        return 0.0
    if fast < best[-1]:
        return math.inf
    return float(np.exp(np.interp(-np.log(fast), -np.log(best), np.log(iterations))))


# ---- the report -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """A style over all its photos: means of the objectives, medians of ``look``, and the worth from each of STARTS.

    The worth is that of the mean objectives, with the least and the most of single photos.
    """

    title: str
    iterations: Sequence[int]
    fast: float
    render: dict[str, np.ndarray]
    worth: dict[str, tuple[float, float, float]]
    look: dict[str, dict[str, float]]


def summaries(records: Sequence[Record]) -> list[Summary]:
    """One for each style in the records."""
    styles: dict[str, list[Record]] = {}
    for record in records:
        styles.setdefault(record["style"], []).append(record)
    return [summary(members) for members in styles.values()]


def summary(records: Sequence[Record]) -> Summary:
    """Of the records of one style."""
    iterations = records[0]["iterations"]
    fast = float(np.mean([record["fast"]["objective"] for record in records]))
    curves = {start: np.mean([record["render"][start] for record in records], 0) for start in STARTS}
    worths = {}
    for start in STARTS:
        single = [worth(record["fast"]["objective"], iterations, record["render"][start]) for record in records]
        worths[start] = (worth(fast, iterations, curves[start]), min(single), max(single))
    looks = {"fast": [record["fast"]["look"] for record in records], "render": [record["look"] for record in records]}
    seen = {
        picture: {name: float(np.median([values[name] for values in found])) for name in found[0]}
        for picture, found in looks.items()
    }
    return Summary(records[0]["title"], iterations, fast, curves, worths, seen)


def text(records: Sequence[Record], options: argparse.Namespace) -> str:
    """The tables and what they say, as Markdown."""
    found = summaries(records)
    last = options.iterations[-1]
    photos = len({record["photo"] for record in records})
    return f"""# How good the styles are

Measured on {photos} held-out photo{"s" * (photos > 1)} of at most {options.size} pixels a side by
`benchmarks/quality.py`, with the features, the weights and the size of the painting that each style was trained with.
The renders were computed with `--precision {options.precision}`; what judges is float32.

{worth_table(found)}

- *Objective*: of the fast result, the mean over the photos.
- *Worth*: so many iterations of a render by plain L-BFGS reach the same mean objective, from noise and from the
  photo; in brackets the least and the most of single photos. An iteration is one evaluation of the objective and its
  gradient.

{look_table(found)}

Medians over the photos; in brackets the same of the render from the photo after {last} iterations.

- *Checkerboard*: how much of what is left to see in flat areas is a pattern of period two or four pixels; 0 is clean.
- *Border*: how far the outermost {STRIP} pixels differ from those inside; up to 1 is as lines inside differ from each
  other, more is a halo.
- *SSIM*: structural similarity of the luminance to the photo's (Wang et al. 2004); 1 would be the photo.

The mean objective of the renders:

{curve_table(found)}

![Objective against iterations for each style](quality.svg)
"""


def worth_table(found: Sequence[Summary]) -> str:
    rows = [[s.title, f"{s.fast:.3f}", *(in_words(s.worth[start], s.iterations) for start in STARTS)] for s in found]
    return table(["style", "objective", *(f"worth, from {where(start)}" for start in STARTS)], rows)


def look_table(found: Sequence[Summary]) -> str:
    formats = {"checkerboard": ".1%", "border": ".2f", "ssim": ".2f"}
    rows = [
        [s.title, *(f"{s.look['fast'][n]:{form}} ({s.look['render'][n]:{form}})" for n, form in formats.items())]
        for s in found
    ]
    return table(["style", "checkerboard", "border", "SSIM"], rows)


def curve_table(found: Sequence[Summary]) -> str:
    rows = [[s.title, where(start), *(f"{value:.3f}" for value in s.render[start])] for s in found for start in STARTS]
    return table(["style", "from", *map(str, found[0].iterations)], rows)


def where(start: str) -> str:
    return {"noise": "noise", "photo": "the photo"}[start]


def in_words(values: tuple[float, float, float], iterations: Sequence[int]) -> str:
    """``38 (<10 to 61)``, of a worth and the least and the most of single photos."""

    def word(value: float) -> str:
        if value == 0:
            return f"<{iterations[0]}"
        return f">{iterations[-1]}" if math.isinf(value) else f"{value:.0f}"

    middle, least, most = map(word, values)
    return f"{middle} ({least} to {most})"


def plot(records: Sequence[Record], path: Path) -> None:
    """Objective against iterations, a panel for each style, with the fast result as a level line."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    found = summaries(records)
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(4 * columns, 3 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel, style in zip(panels, found, strict=False):
        for start in STARTS:
            panel.loglog(style.iterations, style.render[start], marker="o", markersize=3, label=f"from {where(start)}")
        panel.axhline(style.fast, color="black", linestyle="--", label="fast")
        panel.set(title=style.title, xlabel="iterations of L-BFGS", ylabel="objective")
        panel.set_xticks(style.iterations, [str(number) for number in style.iterations])
        panel.xaxis.minorticks_off()
        panel.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        for set_formatter in (panel.yaxis.set_major_formatter, panel.yaxis.set_minor_formatter):
            set_formatter("{x:g}")
    panels[0].legend()
    for panel in panels[len(found) :]:
        panel.set_axis_off()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
