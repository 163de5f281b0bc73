"""Every setting of rendering and training, as frozen dataclasses that load without PyTorch.

The command line and the filter take their defaults and ranges from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import cos, pi

GATYS_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
POOLINGS = ("max", "average")
OPTIMIZERS = ("auto", "lbfgs", "adam", "sgd")
DEVICES = ("auto", "cuda", "cpu")


@dataclass(frozen=True)
class ObjectiveSettings:
    """Layers and weights of the loss.

    The five style layers are those of Gatys et al. 2015 (arXiv 1508.06576); content is matched at relu4_1, which every
    feature network here has (Gatys: conv4_2). ``style_layer_weights`` runs beside ``style_layers``; empty means 1 each.
    All feature losses are relative to their target's size (see losses.py), so the weights hold at every picture size
    and for every network.

    ``centred`` subtracts the style's mean activation from the features before their Gram matrix is taken (after Novak
    and Nikulin 2016, arXiv 1605.04603). Features behind a ReLU are never negative, so a plain Gram matrix is mostly
    made of those means and little of it is texture; centred, large strokes such as van Gogh's whorls appear at all.

    ``nearby_layers`` are those for which the first layer of the same block may stand in, if a network lacks them.
    """

    content_layers: tuple[str, ...] = ("relu4_1",)
    style_layers: tuple[str, ...] = GATYS_STYLE_LAYERS
    style_layer_weights: tuple[float, ...] = ()
    centred: bool = True
    nearby_layers: tuple[str, ...] = ()
    content_weight: float = 0.3
    style_weight: float = 1.0
    tv_weight: float = 0.3

    @property
    def layers(self) -> tuple[str, ...]:
        """Content and style layers, each once."""
        return tuple(dict.fromkeys(self.content_layers + self.style_layers))

    @property
    def weights_by_layer(self) -> dict[str, float]:
        """The weight of each style layer."""
        return dict(zip(self.style_layers, self.style_layer_weights or (1.0,) * len(self.style_layers), strict=True))


@dataclass(frozen=True)
class RenderSettings:
    """One iterative render (Gatys et al. 2015).

    Attributes:
        size: pixels of the result's longer side; the photo is scaled to it, down or up.
        style_scale: size of the style picture beside the result's, each the root of its area: larger, larger strokes.
        optimizer: ``lbfgs``, which gets furthest; ``adam``, whose objective may change from step to step; ``sgd``,
            plain gradient descent, the slowest; or ``auto``: Adam for features that were distilled, else L-BFGS.
            Distilled features agree with VGG's on pictures, not on the patterns to which L-BFGS leads where they stay
            the same.
        iterations: evaluations of the objective and its gradient; one step each.
        learning_rate: Adam's step in units of the 0..1 range, and the root mean square of that of gradient descent,
            which falls linearly to nothing over the last half of the iterations; L-BFGS takes its steps whole.
        shift: for Adam and gradient descent, the picture is moved by 0 to this many pixels and, every other time,
            mirrored before it is judged (see views.py); 0 for neither.
        seed: of these moves.
    """

    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    size: int = 512
    style_scale: float = 1.0
    optimizer: str = "auto"
    iterations: int = 200
    learning_rate: float = 0.03
    shift: int = 16
    seed: int = 0

    def learning_rate_at(self, iteration: int) -> float:
        """The learning rate of an iteration (0-based)."""
        return self.learning_rate * min(1.0, 2 * (1 - iteration / self.iterations))


# ``gatys-2017`` has the layers, the plain Gram matrices and the 500 steps of the authors' own notebook
# (leongatys/NeuralImageSynthesis, BasicStyleTransfer.ipynb). Its weights, 1 and 1000/C^2 for losses of another unit, do
# not carry over: here they are ours.
PRESETS = {
    "default": RenderSettings(),
    "gatys-2017": RenderSettings(
        objective=ObjectiveSettings(
            content_layers=("relu4_2",), centred=False, nearby_layers=("relu4_2",), content_weight=0.3, tv_weight=0.0
        ),
        optimizer="lbfgs",
        iterations=500,
    ),
}


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

        At the last doubling 2w channels stand side by side with their padded copy and the w channels of the
        convolution, in float32: 20w bytes. Two fifths more cover the runtime's own workspace (measured at 1024x1024).
        """
        return 28 * self.width

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
        shift: the result is cropped by 0 to this many pixels before it is judged. Without it the network learns
            where the feature network's pooling grid lies and hides a fine hatching there.
        mixed_precision: compute in bfloat16 where PyTorch deems it safe; the weights stay float32.
    """

    objective: ObjectiveSettings = field(
        default_factory=lambda: ObjectiveSettings(
            content_layers=("relu3_1", "relu4_1"),
            style_layer_weights=(0.4, 0.6, 0.6, 1.0, 1.0),
            content_weight=0.8,
            tv_weight=4.0,
        )
    )
    network: TransformerSettings = field(default_factory=TransformerSettings)
    steps: int = 2000
    minutes: float | None = None
    batch: int = 4
    crop: int = 256
    style_size: int = 512
    shift: int = 3
    learning_rate: float = 1e-3
    cooldown: float = 0.3
    mixed_precision: bool = False
    seed: int = 0

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

    channels: tuple[int, int, int, int, int] = (16, 32, 80, 128, 192)
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
