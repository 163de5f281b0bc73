"""Race renders by several methods to the same loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from benchmarks.iterative.methods import CLASSIC, PLAIN, Method, Pictures
from benchmarks.measuring.pictures import read_picture_tensor
from benchmarks.measuring.record_files import Record
from benchmarks.measuring.timing import CLOCKS
from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.features.catalogue import load_features
from nst_core.features.network import FeatureNetwork
from nst_core.iterative.render import IterativeProgress
from nst_core.iterative.stages import plan_stages
from nst_core.losses.objective import Objective
from nst_core.pictures.resize import resized, resized_to_area, resized_to_long_side

MOST_OF_DROP = 0.9  # of the fall in loss that the classic method achieves: close to the final picture
POINTS = 60  # of a curve; each is judged, which takes time, although that does not count


def run_race(
    methods: Mapping[str, Method], pictures: Pictures, size: int, device: torch.device, clock: str
) -> dict[str, Record]:
    """Return how the loss of each method falls over its own time.

    The features and the losses of the first method judge all of them. The time of judging does not count. The first
    point of each curve is the photo's loss at 0 seconds.
    """
    content = read_picture_tensor(pictures.photo, device)
    style = read_picture_tensor(pictures.painting, device)
    judge = next(iter(methods.values()))
    loss = loss_at_size(load_features(judge.features).to(device), judge.settings.objective, content, style, size)
    curves = {}
    for name, method in methods.items():
        features = load_features(method.features).to(device)
        settings = replace(method.settings, size=size)
        stages = plan_stages(features, settings, *content.shape[-2:])
        curve = Curve(loss, clock, device, every=max(1, stages[-1].last // POINTS))
        curve.start(content)
        method.render(content, style, features, settings, curve.add)
        curves[name] = {
            "optimizers": list(dict.fromkeys(stage.optimizer for stage in stages)),
            "iterations": curve.iterations,
            "seconds": curve.seconds,
            "losses": curve.losses,
        }
    return curves


def loss_at_size(
    features: FeatureNetwork, settings: ObjectiveSettings, content: Tensor, style: Tensor, size: int
) -> Callable[[Tensor], float]:
    """Return a function that computes the objective of a picture of any size, resized to ``size`` pixels."""
    photo = resized_to_long_side(content, size)
    height, width = photo.shape[-2:]
    objective = Objective(features, settings, [resized_to_area(style, (height * width) ** 0.5)])
    targets = objective.content_targets(photo)

    def loss(image: Tensor) -> float:
        with torch.no_grad():
            return objective(resized(image, height, width), targets)["total"].item()

    return loss


class Curve:
    """The losses over the time of a render whose callback is ``add``. The clock stops while a loss is computed.

    Attributes:
        iterations, seconds, losses: of each point.
    """

    def __init__(self, loss: Callable[[Tensor], float], clock: str, device: torch.device, every: int) -> None:
        self._loss, self._device, self._every = loss, device, every
        self._now = CLOCKS[clock]
        self.iterations: list[int] = []
        self.seconds: list[float] = []
        self.losses: list[float] = []

    def start(self, photo: Tensor) -> None:
        """Note the photo's loss and start the clock."""
        self._note(0, 0.0, photo)
        self._elapsed, self._start = 0.0, self._now()

    def add(self, progress: IterativeProgress) -> bool:
        """Note the loss of every few iterations; return True, so the render continues."""
        if progress.iteration % self._every and progress.iteration < progress.iterations:
            return True
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        self._elapsed += self._now() - self._start
        self._note(progress.iteration, self._elapsed, progress.image)
        self._start = self._now()
        return True

    def _note(self, iteration: int, seconds: float, image: Tensor) -> None:
        self.iterations.append(iteration)
        self.seconds.append(seconds)
        self.losses.append(self._loss(image))


def standings(curves: Mapping[str, Record]) -> list[Record]:
    """Compare each method with CLASSIC and PLAIN.

    A record holds the least loss and its drop from the photo's loss, relative to CLASSIC's drop. It also holds three
    times, None where the method never gets there: to CLASSIC's least loss and to MOST_OF_DROP of its drop, relative to
    CLASSIC's whole time; and to PLAIN's least loss, relative to PLAIN's whole time.
    """
    start, least = curves[CLASSIC]["losses"][0], min(curves[CLASSIC]["losses"])
    goals = {
        "time_to_same": (CLASSIC, least),
        "time_to_plain": (PLAIN, min(curves[PLAIN]["losses"])),
        "time_to_most": (CLASSIC, start - MOST_OF_DROP * (start - least)),
    }
    records = []
    for name, curve in curves.items():
        record = {
            "way": name,
            "optimizers": curve["optimizers"],
            "iterations": curve["iterations"][-1],
            "seconds": curve["seconds"][-1],
            "loss": min(curve["losses"]),
            "share_of_drop": (start - min(curve["losses"])) / (start - least),
        }
        for goal, (reference, loss) in goals.items():
            seconds = time_to(curve, loss)
            record[goal] = None if seconds is None else seconds / curves[reference]["seconds"][-1]
        records.append(record)
    return records


def time_to(curve: Mapping[str, Sequence[float]], loss: float) -> float | None:
    """Return the seconds until ``curve`` first reaches ``loss``, linear between its points; None if it never does."""
    points = list(zip(curve["seconds"], curve["losses"], strict=True))
    if points[0][1] <= loss:
        return points[0][0]
    for (earlier, above), (later, below) in pairwise(points):
        if below <= loss:
            return earlier + (later - earlier) * (above - loss) / (above - below)
    return None
