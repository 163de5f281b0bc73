"""The iterative path: any picture as the style, optimised in PyTorch, which is imported on first use."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import ITERATIVE_RANGES, IterativeSettings
from nst_core.base.language import _
from nst_core.base.presets import PRESETS
from nst_core.base.recipes import Recipe
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.picture import Picture, composite, network_input
from plugin.engine.machine.memory import TooLarge, check_memory, give_back_freed_memory
from plugin.engine.machine.stopwatch import Stopwatch
from plugin.engine.progress import Progress, ProgressCallback, ignore

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class IterativeResult:
    """The result: float32 pixels [h, w, 4], what ran it, seconds by stage, and the loss before each iteration.

    ``finished`` says whether it has all its iterations.

    ``recipe`` is what was done in the end, and ``notes`` are sentences on what in it was fitted to the feature network
    or the memory, or why the render ended early. ``metrics`` are those of nst_core/losses/metrics.py, if they were
    asked for.
    """

    pixels: np.ndarray
    device: str
    feature_network: str
    recipe: Recipe
    finished: bool
    iterations: int
    losses: list[Mapping[str, float]]
    seconds: dict[str, float]
    notes: list[str]
    metrics: dict[str, float]


def require_torch() -> None:
    """Raise StyleError, saying how to get it, if PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise StyleError(
            _(
                "A style from a picture of your own needs PyTorch, which is not installed yet (a download of about 200 "
                "MB, or of 3 GB with NVIDIA's libraries); run `python3 install.py torch` once in Neural Style's folder."
            )
        )


def render(
    picture: Picture,
    style_picture: Picture,
    settings: IterativeSettings = PRESETS["default"].settings,
    progress: ProgressCallback = ignore,
    *,
    features: str = "auto",
    pooling: str = "max",
    reference_photos: Path | None = None,
    strength: float = 100.0,
    keep_colors: bool = False,
    device: str = "auto",
    keep_size: bool = False,
    initial: Picture | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 100,
    measure: bool = False,
) -> IterativeResult:
    """Paint ``picture`` in the style of ``style_picture``.

    The result has ``settings.size`` pixels on its longer side, or with ``keep_size`` the picture's own size: it is
    then computed at ``settings.size`` and enlarged. ``features``, ``pooling`` and ``reference_photos`` choose the
    feature network (see features/catalogue.py), ``strength`` and ``keep_colors`` what of the painting the result takes
    (see picture.composite). ``initial`` is a picture to start from in place of ``settings.start``. Where ``progress``
    returns False, the render stops and keeps what it has. Where memory is short, the next smaller size that fits takes
    the place of ``settings.size``. ``checkpoint`` is written every ``checkpoint_every`` iterations, or gone on from
    (see nst_core/iterative/render.py). ``measure`` asks for metrics of the result at the size that was painted. Raises
    StyleError if PyTorch or the feature weights are missing, or memory even for the smallest size.
    """
    require_torch()
    blend = BlendSettings(strength, keep_colors)
    from nst_core import devices
    from nst_core.features import catalogue as weights
    from nst_core.iterative import render as optimize
    from nst_core.losses import metrics, objective
    from nst_core.pictures import resize as pictures

    clock = Stopwatch()
    progress(Progress(_("Loading the feature network"), 0.0))
    chosen = devices.choose_device(device)

    def fetching(done: int, total: int) -> bool:
        return progress(Progress(_("Fetching {features}").format(features=features), done / total))

    network = weights.load_features(features, pooling, reference_photos, fetching).to(chosen)
    fitted, notes = objective.fitted(settings.objective, network)
    settings = replace(settings, objective=fitted)
    clock.lap("load")
    history: list[Mapping[str, float]] = []
    shape: tuple[int, ...] = ()

    def report(step: optimize.IterativeProgress) -> bool:
        nonlocal shape
        if shape and step.image.shape != shape:
            # The blocks of the size before, between those that this one has taken, are too short for its features.
            give_back_freed_memory()
        shape = step.image.shape
        if not history and step.iteration > 1:
            notes.append(_("Resumed after iteration {iteration}.").format(iteration=step.iteration - 1))
        history.append(step.losses)
        return progress(
            Progress(
                _("Painting"),
                step.iteration / step.iterations,
                step.iteration,
                step.iterations,
                step.losses,
                _array(step.image),
            )
        )

    photo, style = (_tensor(network_input(p)).to(chosen) for p in (picture, style_picture))
    start = None if initial is None else _tensor(network_input(initial)).to(chosen)
    while True:
        need = optimize.memory(network, settings, picture.height, picture.width)
        try:
            check_memory(*need, chosen.type == "cuda", _("A render at this size"))
            done = optimize.render(photo, style, network, settings, report, start, checkpoint, checkpoint_every)
            break
        except (TooLarge, RuntimeError) as error:
            if not (isinstance(error, TooLarge) or "memory" in str(error)):
                raise
            smaller = round(settings.size / 2**0.5)
            if smaller < ITERATIVE_RANGES["size"][0]:
                raise StyleError(str(error)) from error
            notes.append(
                _("There is too little memory for a size of {size}; {smaller} takes its place.").format(
                    size=settings.size, smaller=smaller
                )
            )
            settings = replace(settings, size=smaller)
            history.clear()
    notes += [done.note] if done.note else []
    clock.lap("render")
    if not keep_size:
        picture = _scaled(picture, *done.image.shape[-2:])
    styled = pictures.resized(done.image, picture.height, picture.width)
    result = composite(picture, _array(styled), blend)
    clock.lap("composite")
    found: dict[str, float] = {}
    if measure:
        height, width = done.image.shape[-2:]
        photo, shown = (
            pictures.resized(_tensor(network_input(p)).to(chosen), height, width) for p in (picture, Picture(result))
        )
        style = pictures.resized_to_area(style, settings.style_scale * (height * width) ** 0.5)
        found = metrics.Judge(network, photo, style, fitted.content_layers, fitted.style_layers)(shown)
        clock.lap("measure")
    finished = done.iteration == done.iterations
    recipe = Recipe(settings, weights.named(features), pooling)
    how = recipe, finished, done.iteration, history, clock.seconds, notes
    return IterativeResult(result, str(chosen), network.name, *how, found)


def _scaled(picture: Picture, height: int, width: int) -> Picture:
    from nst_core.pictures.resize import resized

    def scale(array: np.ndarray) -> np.ndarray:
        return _array(resized(_tensor(array), height, width))

    mask = None if picture.mask is None else scale(picture.mask[..., None])[..., 0]
    return Picture(scale(picture.pixels), mask)


def _tensor(array: np.ndarray) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1)[None]


def _array(tensor: Tensor) -> np.ndarray:
    return tensor[0].permute(1, 2, 0).cpu().numpy()
