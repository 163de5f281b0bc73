"""How fast a picture is painted step by step: plain L-BFGS as the classic systems write it and as our engine runs it,
our default and the network compact, by the same loss.

    python -m benchmarks.iterative OUT [ASSETS]

OUT gets iterative.md, which goes to standard output too, iterative.svg and iterative.json. The features that judge are
those of ASSETS/weights (ASSETS holds weights/, photos/ and styles/ as the tests' NEURAL_STYLE_ASSETS does) or, without
ASSETS, VGG-19 if it is on disk, else compact.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks import classic
from benchmarks.yardstick import (
    CLOCKS,
    DTYPES,
    MatrixProduct,
    add_options,
    first_call,
    machine,
    one_sentence,
    out_of_memory,
    positive,
    ratio,
    settle,
    table,
    write,
)
from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import PLAIN_SETTINGS, PRECISIONS, IterativeSettings
from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.base.presets import PRESETS
from nst_core.devices import choose_device
from nst_core.features.catalogue import load_features
from nst_core.features.layers import VGG19_TO_CONV5_1, torchvision_keys
from nst_core.features.network import FeatureNetwork
from nst_core.iterative.render import IterativeProgress, render
from nst_core.iterative.stages import plan_stages
from nst_core.losses.objective import Objective
from nst_core.pictures.arrays import as_tensor
from nst_core.pictures.resize import resized, resized_to_area, resized_to_long_side
from plugin.cli.figures.plots import check_matplotlib

BETTER = "vgg19_conv1_1-conv3_4_caffe.safetensors+vgg19_distilled16x_conv5_1.safetensors"
SAMPLES = Path(__file__).parent.parent / "plugin" / "samples"
DROP = 0.9  # of the loss that the classic way takes off the photo's: when another way is as good as there
CLASSIC, PLAIN = "classic L-BFGS", "plain L-BFGS"
GOALS = {"same": "to the classic's loss", "plain": "to the plain's", "most": f"to {DROP:.0%}"}
POINTS = 60  # of a curve: judging takes time too, which does not count

Record = dict[str, Any]


@one_sentence("iterative")
def main(arguments: Sequence[str] | None = None) -> None:
    run(parser().parse_args(arguments))


def run(options: argparse.Namespace) -> Record:
    """Measure, write and print what the options ask for."""
    check_matplotlib()
    found = measure(options)
    write(options.out / "iterative.json", lambda path: path.write_text(json.dumps(found, indent=1)))
    report = text(found)
    write(options.out / "iterative.md", lambda path: path.write_text(report, encoding="utf-8"))
    write(options.out / "iterative.svg", lambda path: plot(found, path))
    print(report)
    return found


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("out", type=Path, metavar="OUT")
    found.add_argument("assets", type=Path, nargs="?", metavar="ASSETS")
    found.add_argument("--features", metavar="SOURCE", help="what judges, as of `neural-style render`")
    found.add_argument("--photo", type=Path, help="a picture file (default one of ASSETS, else a sample of ours)")
    found.add_argument("--painting", type=Path, help="a picture file (default one of ASSETS, else a sample of ours)")
    found.add_argument("--size", type=positive, help="of the race in pixels (default 512 on a GPU, 256 on a CPU)")
    found.add_argument(
        "--iterations", type=positive, help="of plain L-BFGS in the race (default 300 on a GPU, 100 on a CPU)"
    )
    found.add_argument("--precision", choices=PRECISIONS, default="auto", help="of all but the classic way's float32")
    add_options(found, sizes_on_cpu=(256,), sizes_on_gpu=(512, 1024, 2048))
    return found


# ---- what is measured -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """A way to paint: by which features (for ``load_features``), settings and function."""

    features: str
    settings: IterativeSettings
    render: Callable[..., IterativeProgress] = render


def measure(options: argparse.Namespace) -> Record:
    """All that the report tells."""
    device = choose_device(options.device)
    if device.type == "mps":
        device = torch.device("cpu")  # no clock and no memory is read there
    settle(options, device)
    on_gpu = device.type == "cuda"
    size = options.size or (512 if on_gpu else 256)
    iterations = options.iterations or (300 if on_gpu else 100)
    source = options.features or (better(options.assets) if options.assets else "auto")
    photo, painting = pictures(options)
    default = replace(PRESETS["default"].settings, precision=options.precision)
    plain = replace(
        PLAIN_SETTINGS,
        objective=default.objective,
        optimizer="lbfgs",
        iterations=iterations,
        precision=options.precision,
    )
    ways = {
        CLASSIC: Way(source, replace(plain, precision="float32"), classic.render),
        PLAIN: Way(source, plain),
        "default": Way(source, default),
        "compact": Way("compact", default),
    }
    curves = race(ways, photo, painting, size, device, options.clock)
    with tempfile.TemporaryDirectory() as folder:
        shape = Path(folder) / "vgg19.safetensors"
        save_file(random_vgg19(), shape)
        costly = ways | {"VGG-19's shape": Way(str(shape), default)}
        costs = [
            cost(name, way, side, (photo, painting), device, options)
            for side in options.sizes
            for name, way in costly.items()
        ]
    judge = load_features(source).name
    return {
        "machine": machine(device, options.threads),
        "judge": judge,
        "clock": options.clock,
        "turns": options.turns,
        "size": size,
        "photo": curves[PLAIN]["losses"][0],
        "race": standings(curves),
        "curves": curves,
        "costs": costs,
    }


def better(assets: Path) -> str:
    """The features in ASSETS/weights that are nearest to VGG-19, for ``load_features``."""
    return "+".join(str(assets / "weights" / part) for part in BETTER.split("+"))


def random_vgg19() -> dict[str, Tensor]:
    """Random weights in the shape of VGG-19 to conv5_1, with torchvision's names: only shapes matter for the time."""
    state, into = {}, 3
    for layer, key in torchvision_keys(VGG19_TO_CONV5_1).items():
        out = 64 * 2 ** min(layer.block - 1, 3)
        state[f"{key}.weight"] = torch.randn(out, into, 3, 3) * (2 / (into * 9)) ** 0.5
        state[f"{key}.bias"] = torch.zeros(out)
        into = out
    return state


def pictures(options: argparse.Namespace) -> tuple[Path, Path]:
    """The files of photo and painting."""
    if options.assets:
        photo, painting = options.assets / "photos/eval/tubingen.jpg", options.assets / "styles/starry_night.jpg"
    else:
        photo, painting = SAMPLES / "coffee.jpg", SAMPLES / "chelsea.jpg"
    return options.photo or photo, options.painting or painting


def read(path: Path, device: torch.device) -> Tensor:
    """A picture as [1, 3, h, w] in 0..1. Raises StyleError if it cannot be read."""
    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
    except OSError as error:
        raise StyleError(f"{path} cannot be read as a picture; choose another one.") from error
    return (as_tensor(pixels).float() / 255).to(device)


def race(
    ways: Mapping[str, Way], photo: Path, painting: Path, size: int, device: torch.device, clock: str
) -> dict[str, Record]:
    """How the loss of each way falls over its own time, judged for all by the features and the losses of the first.

    The time of judging does not count. The photo's loss is that at no time.
    """
    content, style = read(photo, device), read(painting, device)
    first = next(iter(ways.values()))
    judged = judge(load_features(first.features).to(device), first.settings.objective, content, style, size)
    curves = {}
    for name, way in ways.items():
        features = load_features(way.features).to(device)
        settings = replace(way.settings, size=size)
        plan = plan_stages(features, settings, *content.shape[-2:])
        curve = Curve(judged, clock, device, every=max(1, plan[-1].last // POINTS))
        curve.begin(content)
        way.render(content, style, features, settings, curve.add)
        curves[name] = {
            "optimizers": list(dict.fromkeys(stage.optimizer for stage in plan)),
            "iterations": curve.iterations,
            "seconds": curve.seconds,
            "losses": curve.losses,
        }
    return curves


def judge(
    features: FeatureNetwork, settings: ObjectiveSettings, content: Tensor, style: Tensor, size: int
) -> Callable[[Tensor], float]:
    """The objective of a picture by these features, at this size whatever its own."""
    photo = resized_to_long_side(content, size)
    height, width = photo.shape[-2:]
    objective = Objective(features, settings, [resized_to_area(style, (height * width) ** 0.5)])
    targets = objective.content_targets(photo)

    def loss(image: Tensor) -> float:
        with torch.no_grad():
            return objective(resized(image, height, width), targets)["total"].item()

    return loss


class Curve:
    """Losses over the time of a render, whose callback is ``add``. Judging stops the clock."""

    def __init__(self, loss: Callable[[Tensor], float], clock: str, device: torch.device, every: int) -> None:
        self.loss, self.device, self.every = loss, device, every
        self.now = CLOCKS[clock]
        self.iterations: list[int] = []
        self.seconds: list[float] = []
        self.losses: list[float] = []

    def begin(self, photo: Tensor) -> None:
        """From here on the time counts."""
        self._note(0, 0.0, photo)
        self._elapsed, self._start = 0.0, self.now()

    def add(self, progress: IterativeProgress) -> bool:
        if progress.iteration % self.every and progress.iteration < progress.iterations:
            return True
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self._elapsed += self.now() - self._start
        self._note(progress.iteration, self._elapsed, progress.image)
        self._start = self.now()
        return True

    def _note(self, iteration: int, seconds: float, image: Tensor) -> None:
        self.iterations.append(iteration)
        self.seconds.append(seconds)
        self.losses.append(self.loss(image))


def standings(curves: Mapping[str, Record]) -> list[Record]:
    """Each way beside the CLASSIC and the PLAIN one: its share of the first one's drop in loss, the time to its least
    loss and to DROP of the drop, by its whole time, and the time to the other's least loss, by that one's whole time;
    None where it never gets there.
    """
    start, least = curves[CLASSIC]["losses"][0], min(curves[CLASSIC]["losses"])
    goals = {
        "time_to_same": (CLASSIC, least),
        "time_to_plain": (PLAIN, min(curves[PLAIN]["losses"])),
        "time_to_most": (CLASSIC, start - DROP * (start - least)),
    }
    found = []
    for name, curve in curves.items():
        record = {
            "way": name,
            "optimizers": curve["optimizers"],
            "iterations": curve["iterations"][-1],
            "seconds": curve["seconds"][-1],
            "loss": min(curve["losses"]),
            "share_of_drop": (start - min(curve["losses"])) / (start - least),
        }
        for goal, (yardstick, loss) in goals.items():
            seconds = time_to(curve, loss)
            record[goal] = None if seconds is None else seconds / curves[yardstick]["seconds"][-1]
        found.append(record)
    return found


def time_to(curve: Mapping[str, Sequence[float]], loss: float) -> float | None:
    """Seconds until the curve is first at ``loss`` or below, linear between its points; None if it never is."""
    points = list(zip(curve["seconds"], curve["losses"], strict=True))
    if points[0][1] <= loss:
        return points[0][0]
    for (earlier, above), (later, below) in pairwise(points):
        if below <= loss:
            return earlier + (later - earlier) * (above - loss) / (above - below)
    return None


def cost(
    name: str, way: Way, size: int, files: tuple[Path, Path], device: torch.device, options: argparse.Namespace
) -> Record:
    """What an iteration takes at a size: time, memory in a process of its own, and the floor of its convolutions.

    The floor is by the rates of the precisions in which the convolutions compute: a slim network's features are float32
    beside bfloat16 too.
    """
    record: Record = {"way": name, "size": size, "seconds": None}
    first = first_call(device, options.clock, opened, way, size, files, device, options.threads)
    if first is None:
        return record
    try:
        flops = convolution_flops(way, size, files, device, options.turns)
        products = {precision: MatrixProduct(options.matrix, precision, device) for precision in flops}
        seconds, product_seconds = iterations_and_products(way, size, files, products, options)
    except Exception as error:  # PyTorch has several kinds
        if not out_of_memory(error):
            raise
        return record
    return record | {
        "seconds": statistics.median(seconds),
        "timings": seconds,
        "product_timings": product_seconds,
        "mib": first.mib,
        "flops": flops,
        "by_floor": ratio(seconds, floors(flops, products, product_seconds)),
    }


def opened(way: Way, size: int, files: tuple[Path, Path], device: torch.device, threads: int) -> Callable[[], object]:
    """A render of two iterations, for its memory."""
    torch.set_num_threads(threads)
    return lambda: paint(way, size, files, device, 2, lambda _: True)


def paint(
    way: Way,
    size: int,
    files: tuple[Path, Path],
    device: torch.device,
    iterations: int,
    progress: Callable[[IterativeProgress], bool],
) -> None:
    features, photo = load_features(way.features).to(device), read(files[0], device)
    # One optimiser for all, so that the iterations are alike: the one that has the most of them.
    optimizer = plan_stages(features, way.settings, *photo.shape[-2:])[-1].optimizer
    settings = replace(way.settings, size=size, coarsest=0, iterations=iterations, optimizer=optimizer)
    way.render(photo, read(files[1], device), features, settings, progress)


def convolution_flops(
    way: Way, size: int, files: tuple[Path, Path], device: torch.device, turns: int
) -> dict[str, int]:
    """Operations of an iteration's convolutions, by precision: forwards, back to the picture, and of the photo if it is
    moved. The mean of those that ``turns`` measure, whose views of the picture are not of one size.
    """

    def of(iterations: int) -> Counter[str]:
        with ConvolutionFlops() as counter:
            paint(way, size, files, device, iterations, lambda _: True)
        return counter.found

    # Less the targets, which come before the first.
    return {precision: flops // turns for precision, flops in (of(turns + 1) - of(1)).items()}


class ConvolutionFlops(TorchDispatchMode):
    """Counts them while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Sequence[Any] = (), more: Mapping[str, Any] | None = None
    ) -> Any:
        result = function(*arguments, **(more or {}))
        kind = function._overloadpacket
        if "convolution" in str(kind) and kind in flop_registry:
            precision = next(name for name, dtype in DTYPES.items() if dtype == arguments[0].dtype)
            self.found[precision] += flop_registry[kind](*arguments, **(more or {}), out_val=result)
        return result


def iterations_and_products(
    way: Way, size: int, files: tuple[Path, Path], products: Mapping[str, MatrixProduct], options: argparse.Namespace
) -> tuple[list[float], dict[str, list[float]]]:
    """Seconds of iterations, and of products of matrices after each. The first of all does not count."""
    now, work = CLOCKS[options.clock], {name: product.work() for name, product in products.items()}
    device = next(iter(products.values())).device
    seconds: list[float] = []
    found: dict[str, list[float]] = {name: [] for name in products}
    marks = [0.0]

    def progress(_: IterativeProgress) -> bool:
        if device.type == "cuda":
            torch.cuda.synchronize()
        mark = now()
        seconds.append(mark - marks[0])
        for name, multiply in work.items():
            multiply()
            found[name].append(now() - mark)
            mark = now()
        marks[0] = now()
        return True

    paint(way, size, files, device, options.turns + 1, progress)
    return seconds[1:], {name: values[1:] for name, values in found.items()}


def floors(
    flops: Mapping[str, int], products: Mapping[str, MatrixProduct], seconds: Mapping[str, Sequence[float]]
) -> list[float]:
    """Seconds that an iteration's convolutions would take in each turn, at its products' rates."""
    turns = zip(*([flops[name] / products[name].flops * one for one in seconds[name]] for name in flops), strict=True)
    return [sum(turn) for turn in turns]


# ---- the report -------------------------------------------------------------------------------------------------


def text(found: Record) -> str:
    """The tables and what they say, as Markdown."""
    processor = " Seconds are the processor's, which other work beside does not lengthen." * (
        found["clock"] == "processor"
    )
    return f"""# How fast a picture is painted step by step

{found["machine"]}.{processor} Measured by `benchmarks/iterative.py`.

All pictures are judged by {found["judge"]} and the default losses at {found["size"]} pixels; the photo's loss is
{found["photo"]:.3f}.

{race_table(found["race"])}

![The loss of each way over its time](iterative.svg)

{RACE_NOTES}

An iteration, the median of {found["turns"]}; VGG-19 to relu5_1 with random weights shows what its shape takes:

{cost_table(found["costs"])}

- *Memory*: of two iterations in a process of their own, loading included, at the peak.
- *By the floor*: the time by that which its convolutions would take, those of each precision at the rate of a product
  of large matrices in it, taken in turns with the iterations.
"""


RACE_NOTES = f"""\
- *{CLASSIC}*: plain L-BFGS in plain PyTorch (`benchmarks/classic.py`); *{PLAIN}*: the same by our engine.
- *Iterations*: at all sizes together, and *ms each* their mean.
- *Drop*: what the loss fell by from the photo's, as a share of what the classic way took off it.
- *To the classic's loss* and *to the plain's*: the time to the loss that each had at its end, as a share of its whole
  time; *to {DROP:.0%}*: of the drop, by the classic way's time. Judging does not count."""


def race_table(found: Sequence[Record]) -> str:
    rows = [
        [
            r["way"],
            ", ".join({"lbfgs": "L-BFGS", "adam": "Adam"}[name] for name in r["optimizers"]),
            f"{r['iterations']}",
            f"{1000 * r['seconds'] / r['iterations']:,.0f}",
            f"{r['loss']:.3f}",
            f"{r['share_of_drop']:.1%}",
            *("never" if r[f"time_to_{goal}"] is None else f"{r[f'time_to_{goal}']:.3f}" for goal in GOALS),
        ]
        for r in found
    ]
    head = ["way", "optimiser", "iterations", "ms each", "loss", "drop", *GOALS.values()]
    return table(head, rows)


def cost_table(found: Sequence[Record]) -> str:
    rows = []
    for r in found:
        name = [f"{r['size']}", r["way"]]
        if r["seconds"] is None:
            rows.append([*name, "out of memory", "", "", ""])
            continue
        flops = " + ".join(f"{flops / 1e9:,.1f} {precision}" for precision, flops in sorted(r["flops"].items()))
        rows.append([*name, f"{1000 * r['seconds']:,.1f}", f"{r['mib']:,.0f}", flops, f"{r['by_floor']:.2f}"])
    return table(["size", "way", "ms", "memory, MiB", "convolutions, GFLOP", "by the floor"], rows)


def plot(found: Record, path: Path) -> None:
    """The loss of each way over its time; both axes logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, curve in found["curves"].items():
        axes.loglog(curve["seconds"][1:], curve["losses"][1:], label=name)
    axes.set(xlabel="seconds", ylabel="loss", title=f"{found['size']} pixels")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.legend()
    figure.savefig(path, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
