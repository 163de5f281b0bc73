"""How long a render will take, told from a few of its iterations."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import replace

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import IterativeSettings
from nst_core.base.language import _
from plugin.engine.iterative.iterative_painting import require_torch
from plugin.engine.machine.memory import TooLarge, check_memory
from plugin.engine.messages import Estimate
from plugin.engine.progress import Stopper

SMALLEST_SIZE = 128
# An iteration of more seconds tells how long those at larger sizes take; else twice the size is tried.
LONG_ENOUGH = 0.4
# The first warms up, and the fastest of the others was disturbed least.
TRIALS = 4


def estimate(
    shapes: Sequence[tuple[int, int]],
    settings: IterativeSettings,
    stopper: Stopper,
    *,
    features: str = "auto",
    device: str = "auto",
) -> Estimate:
    """Try how fast a render is, and tell how long those of photos of these heights and widths will take together.

    Takes seconds itself. Iterations are tried at ``settings.size`` if they are fast, else at smaller sizes: their time
    is taken to grow with the pixels. Raises StyleError if PyTorch is missing or the feature network is not on this
    machine, and progress.Stopped if ``stopper`` stops it.
    """
    require_torch()
    from nst_core import devices
    from nst_core.features import catalogue as weights
    from nst_core.iterative import render as optimize
    from nst_core.losses import objective

    name = weights.named(features)
    if name in weights.DOWNLOADS and name not in weights.available():
        raise StyleError(
            _(
                "The feature network {name} will first be fetched, {size:.0f} MiB; how long the painting takes is told "
                "as it develops."
            ).format(name=name, size=weights.DOWNLOADS[name].size / 2**20)
        )
    began = time.perf_counter()
    chosen = devices.choose_device(device)
    network = weights.load_features(features).to(chosen)
    loading = time.perf_counter() - began
    settings = replace(settings, objective=objective.fitted(settings.objective, network)[0])

    def pixels(height: int, width: int, size: int) -> float:
        return size**2 * min(height, width) / max(height, width)

    height, width = shapes[0]
    # Of two optimisers the last one has the most steps, and the longest.
    still = replace(settings, optimizer=optimize.stages(network, settings, height, width)[-1].optimizer)
    size, pace = min(SMALLEST_SIZE, settings.size), 0.0
    while True:
        trial = replace(still, size=size, coarsest=0, first_iterations=0, iterations=TRIALS)
        try:
            check_memory(*optimize.memory(network, trial, height, width), chosen.type == "cuda")
        except TooLarge:
            if not pace:
                raise
            break
        seconds = _iteration(network, trial, height, width, chosen, stopper)
        pace = seconds / pixels(height, width, size)
        if size == settings.size or seconds > LONG_ENOUGH:
            break
        size = min(2 * size, settings.size)

    total = loading
    for height, width in shapes:
        for stage in optimize.stages(network, settings, height, width):
            # One more for the targets.
            total += (stage.last - stage.first + 2) * pace * pixels(height, width, stage.size)
    return Estimate(total, str(chosen), network.name)


def _iteration(network, settings: IterativeSettings, height: int, width: int, device, stopper: Stopper) -> float:
    """Seconds of an iteration at ``settings.size`` with a photo of this shape."""
    import torch

    from nst_core.iterative import render as optimize

    scale = settings.size / max(height, width)
    shape = (1, 3, max(1, round(height * scale)), max(1, round(width * scale)))
    # Pictures are as fast as each other, so that noise will do.
    generator = torch.Generator().manual_seed(0)
    photo, style = (torch.rand(shape, generator=generator).to(device) for _ in range(2))
    moments = []

    def report(step: optimize.IterativeProgress) -> bool:
        moments.append(time.perf_counter())  # the losses are numbers by now: the device has done its work
        stopper.check()
        return True

    stopper.check()
    optimize.render(photo, style, network, settings, report)
    return min(after - before for before, after in itertools.pairwise(moments))
