"""Estimate how long a render will take, from a few of its iterations."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import IterativeSettings
from nst_core.base.language import _
from nst_core.base.recipes import Recipe
from plugin.engine.iterative.iterative_painting import require_torch
from plugin.engine.machine.memory import TooLargeError, check_memory
from plugin.engine.messages import Estimate
from plugin.engine.progress import Stopper

if TYPE_CHECKING:
    import torch

    from nst_core.features.network import FeatureNetwork
    from nst_core.iterative.render import IterativeProgress

SMALLEST_SIZE = 128
# Seconds of an iteration that predicts those at larger sizes well; after a shorter one, twice the size is tried.
LONG_ENOUGH = 0.4
# The first iteration warms up, and the fastest of the others was disturbed least.
TRIALS = 4


def estimate(
    shapes: Sequence[tuple[int, int]], recipe: Recipe, stopper: Stopper, device_name: str = "auto"
) -> Estimate:
    """Estimate how long renders of photos of these shapes (height, width) will take together.

    The estimate itself takes seconds: it runs iterations at the size of the recipe if they are fast, and at smaller
    sizes otherwise, and assumes that their time grows with the number of pixels. Raises StyleError if PyTorch is
    missing or the feature network is not on this machine, and progress.StoppedError if ``stopper`` stops it.
    """
    require_torch()
    from nst_core.devices import choose_device
    from nst_core.features import catalogue
    from nst_core.iterative.stages import plan_stages
    from nst_core.losses.objective import fitted

    name = catalogue.named(recipe.features)
    if name in catalogue.DOWNLOADS and name not in catalogue.available():
        raise StyleError(
            _(
                "The feature network {name} will be fetched first ({size:.0f} MB); the time left is shown as the "
                "painting develops."
            ).format(name=name, size=catalogue.DOWNLOADS[name].size / 1e6)
        )
    began = time.perf_counter()
    device = choose_device(device_name)
    network = catalogue.load_features(recipe.features).to(device)
    seconds = time.perf_counter() - began
    settings = replace(recipe.settings, objective=fitted(recipe.settings.objective, network)[0])
    pace = _seconds_per_pixel(network, settings, shapes[0], device, stopper)
    for height, width in shapes:
        for stage in plan_stages(network, settings, height, width):
            # One more for the targets.
            seconds += (stage.last - stage.first + 2) * pace * _pixels(height, width, stage.size)
    return Estimate(seconds, str(device), network.name)


def _seconds_per_pixel(
    network: FeatureNetwork,
    settings: IterativeSettings,
    shape: tuple[int, int],
    device: torch.device,
    stopper: Stopper,
) -> float:
    """Return the seconds that an iteration takes for each pixel, from the largest size that is worth a trial."""
    from nst_core.iterative.stages import peak_memory, plan_stages

    # The last of two optimisers takes the most steps and the most time.
    optimizer = plan_stages(network, settings, *shape)[-1].optimizer
    size, pace = min(SMALLEST_SIZE, settings.size), 0.0
    while True:
        trial = replace(settings, optimizer=optimizer, size=size, coarsest=0, first_iterations=0, iterations=TRIALS)
        try:
            check_memory(*peak_memory(network, trial, *shape), device.type == "cuda")
        except TooLargeError:
            if not pace:
                raise
            return pace
        seconds = _seconds_of_iteration(network, trial, shape, device, stopper)
        pace = seconds / _pixels(*shape, size)
        if size == settings.size or seconds > LONG_ENOUGH:
            return pace
        size = min(2 * size, settings.size)


def _seconds_of_iteration(
    network: FeatureNetwork,
    settings: IterativeSettings,
    shape: tuple[int, int],
    device: torch.device,
    stopper: Stopper,
) -> float:
    """Return the seconds of an iteration at ``settings.size`` with a photo of this shape."""
    import torch

    from nst_core.iterative.render import render

    scale = settings.size / max(shape)
    height, width = (max(1, round(extent * scale)) for extent in shape)
    # The time does not depend on the picture, so noise will do.
    generator = torch.Generator().manual_seed(0)
    photo, style = (torch.rand((1, 3, height, width), generator=generator).to(device) for _ in range(2))
    moments = []

    def report(step: IterativeProgress) -> bool:
        moments.append(time.perf_counter())  # the losses are numbers here, so the device has finished its work
        stopper.check()
        return True

    stopper.check()
    render(photo, style, network, settings, report)
    return min(after - before for before, after in itertools.pairwise(moments))


def _pixels(height: int, width: int, size: int) -> float:
    """Return the pixels of a picture of this shape whose longer side is scaled to ``size``."""
    return size**2 * min(height, width) / max(height, width)
