"""The settings of an iterative render, with their ranges. Loads without PyTorch.

The command line and the filter take their defaults and ranges from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nst_core.base.errors import StyleError, check_choice
from nst_core.base.objective_settings import ObjectiveSettings

OPTIMIZERS = ("auto", "lbfgs", "adam", "sgd")
SCHEDULES = ("linear", "constant", "step")
STARTS = ("content", "noise", "style")
PRECISIONS = ("auto", "float32", "bfloat16")

# The smallest and the largest sensible value of each number.
ITERATIVE_RANGES: dict[str, tuple[float, float]] = {
    "size": (64, 8192),
    "coarsest": (0, 8192),
    "iterations": (1, 100000),
    "first_iterations": (0, 100000),
    "smaller_iterations": (0, 100000),
    "style_scale": (0.1, 10.0),
    "learning_rate": (1e-5, 10.0),
    "precondition": (0.0, 3.0),
    "average": (0.0, 0.9999),
    "shift": (0, 16),
    "seed": (0, 2**31 - 1),
    "noise": (0.0, 1.0),
}


@dataclass(frozen=True)
class IterativeSettings:
    """The settings of one iterative render (Gatys et al. 2015); the defaults are those of the preset ``default``.

    A small picture comes first: its iterations are cheap, and large strokes appear early. L-BFGS prefers broad changes,
    and the render uses the CPU's fastest precision. Raises StyleError for settings that contradict one another.

    Attributes:
        objective: what is optimised.
        size: pixels of the result's longer side; the photo is scaled up or down to it.
        coarsest: paint at sizes that grow by the square root of two from about this many pixels, each starting from the
            result of the one before; 0, or more than ``size``, for ``size`` alone.
        style_scale: size of the style picture relative to the result, both measured as the square root of the area; a
            larger style picture gives larger strokes.
        start: the picture to start from: the photo (``content``), ``noise`` or the ``style``.
        noise: contrast of that noise around mid-grey; 1 for all values from 0 to 1.
        optimizer: ``lbfgs`` gets furthest; ``adam`` can follow an objective that changes from step to step; ``sgd`` is
            gradient descent. ``auto`` is L-BFGS and, for distilled features, Adam in the last two thirds of the
            iterations at ``size``: distilled features agree with VGG's on pictures, but not on the patterns that
            L-BFGS finds when the objective stays the same. Adam alone leaves a grain.
        iterations: evaluations of the objective and its gradient at ``size``, one for each step.
        smaller_iterations: the same at each smaller size; 0 for as many as ``iterations``.
        first_iterations: the same at the first of several sizes; 0 for as many as at the other smaller sizes.
        learning_rate: Adam's step in units of the 0..1 range. For gradient descent, the step's root mean square over
            the pixels, whatever the length of the gradient. L-BFGS has no learning rate.
        precondition: how much larger L-BFGS assumes broad changes to be than fine ones before it has learned anything,
            as a power of their width. L-BFGS then also learns how far each place may move, by colour and fineness (see
            nst_core/iterative/lbfgs.py). 0 for plain L-BFGS.
        schedule: how the learning rate changes over all iterations: ``linear``, falling to 0; ``constant``; or
            ``step``, divided by ten after each third.
        average: the result is the exponential moving average of the pictures with this decay; 0 for the last picture.
        shift: before each evaluation, except with L-BFGS, move the picture by 0 to this many pixels and mirror it every
            other time (see nst_core/pictures/views.py); 0 for neither.
        seed: the seed of these moves and of the noise.
        precision: ``float32``; ``bfloat16``, used where PyTorch considers it safe, which is faster on a CPU with
            instructions for it and equally good except for the last hundredths of the loss; or ``auto``: bfloat16 on
            such a CPU.
    """

    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    size: int = 512
    coarsest: int = 128
    style_scale: float = 1.0
    start: str = "content"
    noise: float = 1.0
    optimizer: str = "auto"
    iterations: int = 300
    smaller_iterations: int = 15
    first_iterations: int = 0
    learning_rate: float = 0.01
    precondition: float = 1.0
    schedule: str = "linear"
    average: float = 0.0
    shift: int = 16
    seed: int = 0
    precision: str = "auto"

    def __post_init__(self) -> None:
        check_choice("optimiser", self.optimizer, OPTIMIZERS)
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("start", self.start, STARTS)
        if self.first_iterations and not self.coarsest:
            raise StyleError("Iterations of the first size were given, but there is only one size; give the coarsest.")
        if not 0 <= self.average < 1:
            raise StyleError(f"The average's decay is {self.average:g}; give 0 or more, and less than 1.")

    def learning_rate_at(self, iteration: int, iterations: int) -> float:
        """Return the learning rate of ``iteration`` (from 0), one of ``iterations``."""
        if self.schedule == "linear":
            return self.learning_rate * (1 - iteration / iterations)
        return self.learning_rate * (0.1 ** (3 * iteration // iterations) if self.schedule == "step" else 1.0)


# The method as it was published: one size, plain L-BFGS and float32. Other systems' presets, studies and comparisons
# start from these settings, and so do recorded recipes that lack one of these values.
PLAIN_SETTINGS = IterativeSettings(coarsest=0, smaller_iterations=0, precondition=0.0, precision="float32")
