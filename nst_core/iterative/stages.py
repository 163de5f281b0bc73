"""Plan an iterative render: its sizes, their optimisers and iterations, and the memory that it needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from nst_core.base.iterative_settings import IterativeSettings
from nst_core.features.network import SMALLEST_PICTURE_SIDE, FeatureNetwork
from nst_core.iterative.optimizers import LBFGS_HISTORY

# The share of the iterations at the last size that L-BFGS takes before Adam takes over.
LBFGS_SHARE = 1 / 3


@dataclass(frozen=True)
class Stage:
    """A part of a render with one size and one optimiser.

    Attributes:
        size: pixels of the longer side.
        first, last: its iterations, counted from 1 over the whole render.
        optimizer: ``lbfgs``, ``adam`` or ``sgd``.
    """

    size: int
    first: int
    last: int
    optimizer: str


def plan_stages(features: FeatureNetwork, settings: IterativeSettings, height: int, width: int) -> list[Stage]:
    """Return the stages of painting a photo of this shape; each size is the previous one times the root of 2.

    Sizes at which the shorter side would be too short are left out. If ``settings.optimizer`` is ``auto`` and the
    features were distilled, the last size has two stages: Adam continues from the picture that L-BFGS has made.
    """
    sizes = _sizes(settings, min(height, width) / max(height, width))
    smaller = settings.smaller_iterations or settings.iterations
    auto = settings.optimizer == "auto"
    plan, done = list[Stage](), 0
    for size in sizes:
        count = smaller if size < settings.size else settings.iterations
        if size == sizes[0] < settings.size:
            count = settings.first_iterations or smaller
        plan.append(Stage(size, done + 1, done + count, "lbfgs" if auto else settings.optimizer))
        done += count
    if auto and features.distilled and settings.iterations > 1:
        last = plan.pop()
        first_of_adam = last.first + ceil(LBFGS_SHARE * settings.iterations)
        plan += [replace(last, last=first_of_adam - 1), Stage(last.size, first_of_adam, last.last, "adam")]
    return plan


def _sizes(settings: IterativeSettings, aspect: float) -> list[int]:
    """Return the sizes from the coarsest to ``settings.size``; ``aspect`` is shorter side / longer side."""
    shortest = settings.size * aspect
    sizes = [settings.size]
    while settings.coarsest:
        shrunk = 2 ** (-len(sizes) / 2)
        if settings.size * shrunk < settings.coarsest or shortest * shrunk < SMALLEST_PICTURE_SIDE:
            break
        sizes.insert(0, round(settings.size * shrunk))
    return sizes


def checkpoint_bytes(settings: IterativeSettings, height: int, width: int) -> int:
    """Compute the least size of the largest checkpoint of painting a photo of this shape.

    It holds the picture, the variable and what the optimiser remembers, all float32 RGB: two moments with Adam, and two
    tensors for each step in its history with L-BFGS.
    """
    size = min(settings.size, max(height, width))
    pixels = size**2 * min(height, width) / max(height, width)
    state = {"adam": 2, "sgd": 0}.get(settings.optimizer)
    if state is None:
        share = LBFGS_SHARE if settings.optimizer == "auto" else 1.0
        state = 2 * max(0, min(LBFGS_HISTORY, ceil(share * settings.iterations) - 2))
    return int(12 * pixels * (2 + state))


def peak_memory(features: FeatureNetwork, settings: IterativeSettings, height: int, width: int) -> tuple[int, int]:
    """Estimate the peak memory of painting a photo of this shape: a number of pixels, and bytes for each of them.

    The pixels are those of the photo at ``settings.size``, or of the style picture if that is larger. The bytes are an
    upper bound: on a CPU, renders at 512 and 768 pixels took 0.55 to 0.67 of it, including the freed memory that the
    C library keeps.
    """
    pixels = settings.size**2 * min(height, width) / max(height, width) * max(1.0, settings.style_scale**2)
    history = 2 * min(LBFGS_HISTORY, settings.iterations) if settings.optimizer in ("auto", "lbfgs") else 2
    pictures = 10 + history  # float32 RGB, 12 bytes a pixel each
    network = features.condensed()[0].bytes_per_pixel(settings.objective.layers)
    return round(pixels), round(1.25 * (network + 12 * pictures))
