"""Paint in the style of any picture by optimisation in PyTorch, which is imported on first use."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import ITERATIVE_RANGES, IterativeSettings
from nst_core.base.language import _
from nst_core.base.presets import PRESETS
from nst_core.base.recipes import Recipe
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.compositing import composite
from plugin.engine.imaging.picture import Picture, network_input
from plugin.engine.iterative.iterative_regions import PictureStyle, RenderRegions, plan_regions
from plugin.engine.machine.memory import TooLargeError, check_memory, give_back_freed_memory
from plugin.engine.machine.stopwatch import Stopwatch
from plugin.engine.progress import Progress, ProgressCallback, ignore

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from nst_core.features.network import FeatureNetwork
    from nst_core.iterative.render import IterativeProgress
    from nst_core.losses.guided_objective import StyleGuide


@dataclass(frozen=True, eq=False)
class IterativeOptions:
    """The options of a render besides its pictures and its recipe.

    Attributes:
        device: ``auto``, ``cuda`` or ``cpu``.
        keep_size: whether the result has the picture's own size, enlarged from ``settings.size``. Otherwise its longer
            side has ``settings.size`` pixels.
        initial: a picture to start from in place of ``settings.start``.
        reference_photos: a folder or tar of photos that scale the feature network (see features/catalogue.py).
        checkpoint, checkpoint_every: a file to resume from and to write, and the iterations between two writes (see
            nst_core/iterative/render.py).
        measure: whether to compute metrics of the result, at the size that was painted; not with regions or masks,
            which have several styles.
        regions: the styles of the photo's parts, in place of the style picture for the whole photo.
    """

    device: str = "auto"
    keep_size: bool = False
    initial: Picture | None = None
    reference_photos: Path | None = None
    checkpoint: Path | None = None
    checkpoint_every: int = 100
    measure: bool = False
    regions: RenderRegions | None = None


@dataclass(frozen=True, eq=False)
class IterativeResult:
    """A painting and how it was made.

    Attributes:
        pixels: float32 [h, w, 4].
        render: the painting as it was optimised, before it was enlarged and mixed: float32 RGB [h, w, 3].
        device, feature_network: the names of what computed it.
        recipe: the recipe that was followed in the end.
        finished: whether it has all its iterations.
        iterations, losses: how many iterations it has, and the weighted losses before each of this run.
        seconds: by stage.
        notes: sentences on what in the recipe was adapted to the feature network or the memory, or why the render ended
            early.
        metrics: those of nst_core/losses/metrics.py by name, if they were requested.
    """

    pixels: np.ndarray
    render: np.ndarray
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
    importlib.invalidate_caches()  # it may have been installed since
    if importlib.util.find_spec("torch") is None:
        raise StyleError(
            _(
                "A refined painting in the style of a picture needs PyTorch, which is not installed yet (a download of "
                "about 200 MB, or of 3 GB with NVIDIA's libraries); run `python3 install.py torch` once in Neural "
                "Style's folder."
            )
        )


def paint_iteratively(
    picture: Picture,
    style_picture: Picture,
    recipe: Recipe = PRESETS["default"],
    progress: ProgressCallback = ignore,
    blend: BlendSettings = BlendSettings(),
    options: IterativeOptions = IterativeOptions(),
) -> IterativeResult:
    """Paint ``picture`` in the style of ``style_picture``.

    When ``progress`` returns False, the render stops and keeps what it has. If memory is short, the next smaller size
    that fits replaces ``recipe.settings.size``. Raises StyleError if PyTorch or the feature weights are missing, or if
    memory is too short even for the smallest size.
    """
    require_torch()
    from nst_core.devices import choose_device
    from nst_core.features import catalogue
    from nst_core.losses.objective import fitted
    from nst_core.pictures.arrays import as_array
    from nst_core.pictures.resize import resized

    clock = Stopwatch()
    plan = plan_regions(picture, options.regions or RenderRegions(PictureStyle(style_picture)))
    progress(Progress(_("Loading the feature network"), 0.0))
    device = choose_device(options.device)

    def fetching(done: int, total: int) -> bool:
        return progress(Progress(_("Fetching {features}").format(features=recipe.features), done / total))

    network = catalogue.load_features(recipe.features, recipe.pooling, options.reference_photos, fetching).to(device)
    objective, notes = fitted(recipe.settings.objective, network)
    settings = replace(recipe.settings, objective=objective)
    clock.lap("load")
    picture, notes = plan.picture, [*plan.notes, *notes]
    photo, style = _tensor_of(picture, device), _tensor_of(plan.style_picture, device)
    render = _RenderAttempts(photo, style, network, progress, options, notes, plan.guides(device))
    settings, done = render.largest_that_fits(settings)
    notes += [done.note] if done.note else []
    clock.lap("render")
    if not options.keep_size:
        picture = _scaled(picture, *done.image.shape[-2:])
    pixels = composite(picture, as_array(resized(done.image, picture.height, picture.width)), blend)
    clock.lap("composite")
    metrics: dict[str, float] = {}
    if options.measure and plan.is_plain:
        metrics = _measure((picture, Picture(pixels)), style, network, settings, done.image.shape[-2:])
        clock.lap("measure")
    return IterativeResult(
        pixels,
        as_array(done.image),
        str(device),
        network.name,
        Recipe(settings, catalogue.named(recipe.features), recipe.pooling),
        finished=done.iteration == done.iterations,
        iterations=done.iteration,
        losses=render.losses,
        seconds=clock.seconds,
        notes=notes,
        metrics=metrics,
    )


@dataclass(eq=False)
class _RenderAttempts:
    """Renders one photo, at a smaller size if memory is short.

    Attributes:
        photo, style: [1, 3, h, w], on the device that computes.
        notes: gets a sentence for each thing that the user should know.
        guides: the styles of the photo's regions; none for a plain render.
        losses: those before each iteration.
    """

    photo: Tensor
    style: Tensor
    network: FeatureNetwork
    progress: ProgressCallback
    options: IterativeOptions
    notes: list[str]
    guides: tuple[StyleGuide, ...] = ()
    losses: list[Mapping[str, float]] = field(default_factory=list)
    _shape: tuple[int, ...] = ()

    def largest_that_fits(self, settings: IterativeSettings) -> tuple[IterativeSettings, IterativeProgress]:
        """Render at ``settings.size``, or at the next smaller size that fits in memory; return that with the result."""
        from nst_core.iterative.render import RenderOptions, render
        from nst_core.iterative.stages import peak_memory

        initial = self.options.initial
        start = None if initial is None else _tensor_of(initial, self.photo.device)
        options = RenderOptions(start, self.options.checkpoint, self.options.checkpoint_every, self.guides)
        requested = settings.size
        while True:
            need = peak_memory(self.network, settings, *self.photo.shape[-2:])
            try:
                check_memory(*need, self.photo.device.type == "cuda", _("A render at this size"))
                done = render(self.photo, self.style, self.network, settings, self._report, options)
            except (TooLargeError, RuntimeError) as error:
                if not (isinstance(error, TooLargeError) or "memory" in str(error)):
                    raise
                smaller = round(settings.size / 2**0.5)
                if smaller < ITERATIVE_RANGES["size"][0]:
                    raise StyleError(str(error)) from error
                settings = replace(settings, size=smaller)
                self.losses.clear()
                continue
            if settings.size < requested:
                self.notes.append(
                    _("There is too little memory for a size of {size}; {smaller} is used instead.").format(
                        size=requested, smaller=settings.size
                    )
                )
            return settings, done

    def _report(self, step: IterativeProgress) -> bool:
        from nst_core.pictures.arrays import as_array

        if self._shape and step.image.shape != self._shape:
            # The freed blocks of the previous size lie between those of this size, and are too small for its feature
            # maps.
            give_back_freed_memory()
        self._shape = step.image.shape
        if not self.losses and step.iteration > 1:
            self.notes.append(_("Resumed after iteration {iteration}.").format(iteration=step.iteration - 1))
        self.losses.append(step.losses)
        return self.progress(
            Progress(
                _("Painting"),
                step.iteration / step.iterations,
                step.iteration,
                step.iterations,
                step.losses,
                as_array(step.image),
            )
        )


def _measure(
    pictures: tuple[Picture, Picture],
    style: Tensor,
    network: FeatureNetwork,
    settings: IterativeSettings,
    size: tuple[int, ...],
) -> dict[str, float]:
    """Return the metrics of a photo and its painting (``pictures``) at the height and width that were painted."""
    from nst_core.losses.metrics import PictureMetrics
    from nst_core.pictures.resize import resized, resized_to_area

    height, width = size
    photo, painting = (resized(_tensor_of(picture, style.device), height, width) for picture in pictures)
    style = resized_to_area(style, settings.style_scale * (height * width) ** 0.5)
    objective = settings.objective
    return PictureMetrics(network, photo, style, objective.content_layers, objective.style_layers)(painting)


def _tensor_of(picture: Picture, device: torch.device) -> Tensor:
    """Return what a network should see of ``picture``, [1, 3, h, w], on ``device``."""
    from nst_core.pictures.arrays import as_tensor

    return as_tensor(network_input(picture)).to(device)


def _scaled(picture: Picture, height: int, width: int) -> Picture:
    from nst_core.pictures.arrays import as_array, as_tensor
    from nst_core.pictures.resize import resized

    def scale(array: np.ndarray) -> np.ndarray:
        return as_array(resized(as_tensor(array), height, width))

    mask = None if picture.mask is None else scale(picture.mask[..., None])[..., 0]
    return Picture(scale(picture.pixels), mask)
