"""Every setting of rendering and training, as frozen dataclasses that load without PyTorch.

The command line and the filter take their defaults and ranges from here. Settings that contradict one another cannot
be made: the dataclasses raise StyleError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import cos, isfinite, pi

from nst_core.errors import StyleError

GATYS_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
POOLINGS = ("max", "average")
OPTIMIZERS = ("auto", "lbfgs", "adam", "sgd")
SCHEDULES = ("linear", "constant", "step")
STYLE_LOSSES = ("gram", "w2")
STARTS = ("content", "noise", "style")
PRECISIONS = ("auto", "float32", "bfloat16")

# The least and the most that makes sense, of the settings of a render that are numbers.
RANGES: dict[str, tuple[float, float]] = {
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
    "content_weight": (0.0, 1e6),
    "style_weight": (0.0, 1e6),
    "tv_weight": (0.0, 1e6),
    "tv_exponent": (1.0, 4.0),
}


def _by_layer(layers: tuple[str, ...], weights: tuple[float, ...]) -> dict[str, float]:
    return dict(zip(layers, weights or (1.0,) * len(layers), strict=True))


def check_choice(what: str, value: str, choices: Sequence[str]) -> None:
    """Raise StyleError, listing the choices, if ``value`` is none of them."""
    if value not in choices:
        raise StyleError(f"There is no {what} {value!r}; choose from {', '.join(choices)}.")


@dataclass(frozen=True)
class ObjectiveSettings:
    """Layers and weights of the loss.

    The five style layers are those of Gatys et al. 2015 (arXiv 1508.06576); content is matched at relu4_1, which every
    feature network here has (Gatys: conv4_2). ``content_layer_weights`` and ``style_layer_weights`` run beside the
    layers; empty means 1 each. The content loss is the weighted mean over its layers, the style loss the weighted sum.
    All feature losses are relative to their target's size (see losses.py), so the weights hold at every picture size
    and for every network.

    ``style_loss`` says how styles are compared: by their Gram matrices (``gram``), or by the Wasserstein-2 distance
    between Gaussians that have the features' means and covariances (``w2``).

    ``centred`` subtracts the style's mean activation from the features before their Gram matrix is taken (after Novak
    and Nikulin 2016, arXiv 1605.04603). Features behind a ReLU are never negative, so a plain Gram matrix is mostly
    made of those means and little of it is texture; centred, large strokes such as van Gogh's whorls appear at all.

    ``mean_weight`` is what the mean activation of each style layer costs beside its Gram matrix, relative to the
    style's: what a plain Gram matrix sees and a centred one hardly does, the palette and the middle tones among it.

    ``tv_exponent`` is the power to which neighbours' differences are raised in the total variation.

    ``nearby_layers`` are those for which the first layer of the same block may stand in, if a network lacks them.
    """

    content_layers: tuple[str, ...] = ("relu4_1",)
    content_layer_weights: tuple[float, ...] = ()
    style_layers: tuple[str, ...] = GATYS_STYLE_LAYERS
    style_layer_weights: tuple[float, ...] = ()
    style_loss: str = "gram"
    centred: bool = True
    nearby_layers: tuple[str, ...] = ()
    content_weight: float = 0.3
    style_weight: float = 1.0
    tv_weight: float = 0.3
    tv_exponent: float = 1.0
    mean_weight: float = 0.0

    def __post_init__(self) -> None:
        check_choice("style loss", self.style_loss, STYLE_LOSSES)
        for kind in ("content", "style"):
            layers, weights = getattr(self, f"{kind}_layers"), getattr(self, f"{kind}_layer_weights")
            if len(set(layers)) < len(layers):
                raise StyleError(f"A {kind} layer is named twice ({', '.join(layers)}); name each once.")
            if weights and len(weights) != len(layers):
                raise StyleError(
                    f"There are {len(layers)} {kind} layers and {len(weights)} weights for them; give one for each."
                )
            if any(not isfinite(weight) or weight < 0 for weight in weights):
                raise StyleError(f"A weight of the {kind} layers is negative or not a number; give 0 or more.")
        if self.content_layer_weights and not any(self.content_layer_weights):
            raise StyleError("All content layers weigh 0; set the content weight to 0 instead.")
        if self.content_weight == self.style_weight == 0:
            raise StyleError("Content and style both weigh 0, so there is nothing to paint; give one of them a weight.")
        if self.style_loss == "w2" and not self.centred:
            raise StyleError("The style loss w2 compares covariances, which are always centred; leave centred on.")

    @property
    def layers(self) -> tuple[str, ...]:
        """Content and style layers, each once."""
        return tuple(dict.fromkeys(self.content_layers + self.style_layers))

    @property
    def content_weights_by_layer(self) -> dict[str, float]:
        """The weight of each content layer."""
        return _by_layer(self.content_layers, self.content_layer_weights)

    @property
    def weights_by_layer(self) -> dict[str, float]:
        """The weight of each style layer."""
        return _by_layer(self.style_layers, self.style_layer_weights)


@dataclass(frozen=True)
class RenderSettings:
    """One iterative render (Gatys et al. 2015).

    Attributes:
        size: pixels of the result's longer side; the photo is scaled to it, down or up.
        coarsest: the picture is painted at sizes that grow by the root of two from about this many pixels, each
            beginning with what the one before it made; 0, or more than ``size``, for that alone.
        style_scale: size of the style picture beside the result's, each the root of its area: larger, larger strokes.
        start: the picture to begin with: the photo (``content``), ``noise`` or the ``style``.
        noise: contrast of that noise around mid-grey; 1 for all values from 0 to 1.
        optimizer: ``lbfgs``, which gets furthest; ``adam``, whose objective may change from step to step; ``sgd``,
            gradient descent; or ``auto``: L-BFGS, and for features that were distilled Adam behind it, in the last two
            thirds of the iterations at ``size``. These agree with VGG's on pictures, not on the patterns to which
            L-BFGS leads where they stay the same; and Adam alone leaves a grain.
        iterations: evaluations of the objective and its gradient at ``size``; one step each.
        smaller_iterations: the same at each of the smaller sizes; 0 for as many.
        first_iterations: the same at the first of several sizes; 0 for as many as at the other smaller ones.
        learning_rate: Adam's step in units of the 0..1 range; gradient descent's is its root mean square over the
            pixels, whatever the length of the gradient. L-BFGS takes its steps whole.
        precondition: how much larger L-BFGS takes broad changes to be than fine ones where it knows nothing yet, as a
            power of their width; it then also learns how far each place may move, by colour and fineness (see
            lbfgs.py). 0 for plain L-BFGS.
        schedule: how the learning rate changes over all iterations: ``linear``, to nothing; ``constant``; or
            ``step``, to a tenth after each third.
        average: the result is the exponential moving average of the pictures, with this decay; 0 for the last one.
        shift: but for L-BFGS, the picture is moved by 0 to this many pixels and, every other time, mirrored before it
            is judged (see views.py); 0 for neither.
        seed: of these moves and of the noise.
        precision: ``float32``; ``bfloat16`` where PyTorch deems it safe, which is faster where the processor has
            instructions for it and as good but for the last hundredths of the loss; or ``auto``: bfloat16 there.
    """

    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    size: int = 512
    coarsest: int = 0
    style_scale: float = 1.0
    start: str = "content"
    noise: float = 1.0
    optimizer: str = "auto"
    iterations: int = 300
    smaller_iterations: int = 0
    first_iterations: int = 0
    learning_rate: float = 0.01
    precondition: float = 0.0
    schedule: str = "linear"
    average: float = 0.0
    shift: int = 16
    seed: int = 0
    precision: str = "float32"

    def __post_init__(self) -> None:
        check_choice("optimiser", self.optimizer, OPTIMIZERS)
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("start", self.start, STARTS)
        if self.first_iterations and not self.coarsest:
            raise StyleError("Iterations of the first size were given, but there is one size only; give the coarsest.")
        if not 0 <= self.average < 1:
            raise StyleError(f"The average's decay is {self.average:g}; give 0 or more, and less than 1.")

    def learning_rate_at(self, iteration: int, iterations: int) -> float:
        """The learning rate of an iteration (0-based) of so many."""
        if self.schedule == "linear":
            return self.learning_rate * (1 - iteration / iterations)
        return self.learning_rate * (0.1 ** (3 * iteration // iterations) if self.schedule == "step" else 1.0)


@dataclass(frozen=True)
class TransformerSettings:
    """Shape of the feed-forward network: ``width`` channels at full resolution, twice and four times that below.

    ``styles`` is how many it knows; each has scales and shifts of its own. Johnson's (2016) is width 32, five residual
    blocks, 9x9 convolutions at both ends.
    """

    width: int = 16
    residual_blocks: int = 5
    end_kernel: int = 5
    styles: int = 1

    @property
    def minimum_size(self) -> int:
        """Smallest height and width in pixels: reflection padding needs more pixels than it adds, at every scale."""
        return 8

    @property
    def bytes_per_pixel(self) -> int:
        """Memory that ONNX Runtime takes at its peak on a CPU, per input pixel.

        At full resolution w channels stand there three times, as the convolution leaves them, as the norm wants them
        and normed, in float32: 12w bytes. Two thirds more cover the runtime's own workspace and its arena, which grows
        by doubling (measured at 512x512 to 2048x2048).
        """
        return 20 * self.width

    @property
    def receptive_radius(self) -> int:
        """How far in pixels an input pixel reaches in the output, instance norm's statistics apart."""
        ends, halvings, doublings = 2 * (self.end_kernel // 2), 1 + 2, (2 + 2) + (1 + 1)  # bilinear, convolution
        return ends + halvings + 8 * self.residual_blocks + doublings + 3  # 3: it lies anywhere in a cell of four


@dataclass(frozen=True)
class TrainSettings:
    """One training run.

    Attributes:
        steps: updates in all; the learning rate falls linearly to nothing over the last ``cooldown`` of them.
        minutes: a budget in place of ``steps``, which ``train`` then works out itself; 0 until it has.
        batch, crop: photos a step, and their height and width in pixels.
        style_size: the style picture is scaled to about this many pixels squared: larger means larger strokes.
        grain: what varies by less than this (of 0..1) within 5x5 pixels of the scaled style picture is smoothed away.
            Of the grain of a canvas or a print a network makes a regular pattern: it sees nothing by which to vary it.
        turn, zoom: the result is turned by up to so many degrees and scaled by up to this factor, down or up, before it
            is judged (see views.py). Without that the network learns where the feature network's pooling grid lies and
            fills flat areas with a fine mesh that means strokes there.
        mesh_weight: what such a mesh costs beside the objective (``mesh`` in metrics.py). It is the only texture that
            the network can lay on an area that has none, for it sees the same everywhere there.
        mixed_precision: compute in bfloat16 where PyTorch deems it safe; the weights stay float32.
        faithful: what a second row of each style learns by, if given: the network then has two rows for each style,
            the first by this objective, the second by ``objective``. They differ in weights and content layers alone.
        between: of the pictures, the share that is painted by a random mixture of both rows, and judged by the same
            mixture of both objectives; the others are painted by one of them.
        row_rate: how many times as fast as the convolutions the scales and shifts of the norms learn. They are all that
            tells one row from the other.
        steady_weight: what it costs that a photo with noise is painted otherwise than without: mean absolute difference.
        steady_noise: the deviation of that noise.
        people: of the pictures, the share that is a crop around a face, where faces are known.
    """

    objective: ObjectiveSettings = field(
        default_factory=lambda: ObjectiveSettings(
            content_layers=("relu3_1", "relu4_1"),
            style_layer_weights=(0.4, 0.6, 0.6, 1.0, 1.0),
            content_weight=0.6,
            tv_weight=4.0,
        )
    )
    network: TransformerSettings = field(default_factory=TransformerSettings)
    steps: int = 2000
    minutes: float | None = None
    batch: int = 4
    crop: int = 256
    style_size: int = 512
    grain: float = 0.0
    turn: float = 8.0
    zoom: float = 1.2
    mesh_weight: float = 3.0
    learning_rate: float = 1e-3
    cooldown: float = 0.3
    mixed_precision: bool = False
    seed: int = 0
    faithful: ObjectiveSettings | None = None
    between: float = 0.34
    row_rate: float = 1.0
    steady_weight: float = 0.0
    steady_noise: float = 3 / 255
    people: float = 0.0

    @property
    def rows(self) -> tuple[ObjectiveSettings, ...]:
        """The objective of each row that a style has."""
        return (self.objective,) if self.faithful is None else (self.faithful, self.objective)

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of update ``step`` (0-based)."""
        if not self.steps:
            return self.learning_rate  # the end is far
        return self.learning_rate * min(1.0, (self.steps - step) / max(1.0, self.cooldown * self.steps))


@dataclass(frozen=True)
class DistillSettings:
    """One training of a slim feature network (see distill.py).

    Attributes:
        channels: of the five blocks. VGG-19 has 64, 128, 256, 512, 512.
        steps: updates in all; after ``warmup`` of them at a growing learning rate it falls along half a cosine
            (Loshchilov and Hutter 2016, arXiv 1608.03983).
        batch, crop: pictures a step, and their height and width in pixels.
        rendered: pictures that the network itself is painting, learned from beside the ``batch``.
        gram_weight: how much the Gram matrices count beside the features.
        first_layer: the first layer to learn; those before it, and the convolutions that they need, stay as they are.
    """

    channels: tuple[int, int, int, int, int] = (16, 48, 96, 160, 256)
    steps: int = 6000
    warmup: int = 100
    batch: int = 8
    crop: int = 128
    rendered: int = 2
    gram_weight: float = 0.2
    first_layer: str = GATYS_STYLE_LAYERS[0]
    learning_rate: float = 2e-3
    mixed_precision: bool = False
    seed: int = 0

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of update ``step`` (0-based)."""
        return self.learning_rate * min(1.0, (step + 1) / self.warmup) * (0.5 + 0.5 * cos(pi * step / self.steps))
