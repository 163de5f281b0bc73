"""The settings for training a transformer network, a distilled feature network or a decoder. Loads without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import cos, pi
from typing import Any

from nst_core.base.errors import StyleError
from nst_core.base.objective_settings import GATYS_STYLE_LAYERS, ObjectiveSettings


@dataclass(frozen=True)
class TransformerSettings:
    """The shape of a transformer network. Johnson's (2016) has width 32, five residual blocks and 9x9 end convolutions.

    Attributes:
        width: channels at full resolution; twice as many at half and four times as many at a quarter of it.
        residual_blocks: residual blocks at a quarter of the resolution.
        end_kernel: side of the first and the last convolution's kernel.
        styles: how many styles the network knows.
        rows_per_style: how many rows of scales and shifts each style has: one, or two, which the user's setting
            ``detail`` mixes.
    """

    width: int = 16
    residual_blocks: int = 5
    end_kernel: int = 5
    styles: int = 1
    rows_per_style: int = 1

    @property
    def rows(self) -> int:
        """How many rows of scales and shifts the network's norms have; those of a style are neighbours."""
        return self.styles * self.rows_per_style

    def has_shape_of(self, other: TransformerSettings) -> bool:
        """Return whether one network can start from the other: all but styles and rows must be equal."""
        return replace(self, styles=other.styles, rows_per_style=other.rows_per_style) == other

    @property
    def in_words(self) -> str:
        """The shape in a phrase such as "has width 16, 5 residual blocks and 5x5 end kernels"."""
        kernel = f"{self.end_kernel}x{self.end_kernel}"
        return f"has width {self.width}, {self.residual_blocks} residual blocks and {kernel} end kernels"

    @property
    def minimum_size(self) -> int:
        """The smallest height and width in pixels: reflection padding needs more pixels than it adds, at each scale."""
        return 8

    @property
    def bytes_per_pixel(self) -> int:
        """The peak memory of ONNX Runtime on a CPU, in bytes per input pixel.

        At full resolution, ``width`` channels exist three times in float32: as the convolution's output, in the layout
        that the norm needs, and normalised. That makes 12 x ``width`` bytes. Two thirds more cover the runtime's
        workspace and its arena, which grows by doubling (measured at 512x512 to 2048x2048).
        """
        return 20 * self.width

    @property
    def receptive_radius(self) -> int:
        """How far in the output an input pixel has an effect, in pixels, apart from instance norm's statistics."""
        ends, halvings, doublings = 2 * (self.end_kernel // 2), 1 + 2, (2 + 2) + (1 + 1)  # bilinear, convolution
        return ends + halvings + 8 * self.residual_blocks + doublings + 3  # 3: it may be anywhere in a cell of 4


@dataclass(frozen=True)
class TrainSettings:
    """The settings of one training of a transformer network.

    A style may have two rows in the network's norms: a *faithful* one, which keeps faces, windows and lettering
    readable, and a *bold* one. The settings of the second half below concern these; by default there is only the bold
    row. ``with_faithful_row`` gives the settings that `neural-style train` uses. Raises StyleError unless there is one
    objective for each of the network's rows.

    Attributes:
        objective: what is optimised; with two rows, the objective of the bold one.
        network: the shape of the network.
        steps: updates in all; the learning rate falls linearly to 0 over the last ``cooldown`` of them.
        minutes: a budget in place of ``steps``, from which the training works out the number of steps itself;
            ``steps`` is 0 until it has.
        batch: photos in each step.
        crop: height and width of those photos in pixels.
        style_size: the style picture is scaled to about this many pixels squared; larger gives larger strokes.
        grain: variations smaller than this (in the 0..1 range) within 5x5 pixels of the scaled style picture are
            smoothed away. A network turns the grain of a canvas or a print into a regular pattern, because nothing in
            the photo tells it how to vary the grain.
        turn: the result is rotated by up to this many degrees before it is compared (see nst_core/pictures/views.py).
            Without ``turn`` and ``zoom``, the network learns where the feature network's pooling grid lies and fills
            flat areas with a fine mesh that the feature network takes for strokes.
        zoom: the result is enlarged or reduced by up to this factor before it is compared.
        mesh_weight: weight of a penalty on such a mesh, in addition to the objective (``mesh`` in
            nst_core/losses/metrics.py). A mesh is the only texture that the network can paint on a flat area, because
            it sees the same everywhere there.
        learning_rate: Adam's step.
        cooldown: the share of ``steps`` over which the learning rate falls.
        mixed_precision: compute in bfloat16 where PyTorch considers it safe; the weights stay float32.
        seed: the seed of all randomness.
        faithful: the objective of the faithful row, if there is one. Only weights and content layers may differ.
        mean_weight: weight of each style layer's mean activation relative to its Gram matrix, which hardly depends on
            it if it is centred. The means carry the palette and the middle tones.
        mixed_share: the share of the pictures that are painted by a random mixture of both rows, and judged by the same
            mixture of both objectives. The others are painted by one row, in turn.
        row_rate: how many times as fast as the convolutions the rows learn. They alone tell one row from the other.
        steady_weight: weight of the mean absolute difference between a photo's painting and that of the photo with
            noise; without it a network amplifies noise in flat areas.
        steady_noise: the standard deviation of that noise, in the 0..1 range.
        face_share: the share of the pictures that are crops around a face, if the photos' faces are known.
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
    mean_weight: float = 0.0
    mixed_share: float = 0.34
    row_rate: float = 1.0
    steady_weight: float = 0.0
    steady_noise: float = 3 / 255
    face_share: float = 0.0

    def __post_init__(self) -> None:
        if len(self.rows) != self.network.rows_per_style:
            raise StyleError(
                f"The network has {self.network.rows_per_style} rows for each style, and the settings have "
                f"{len(self.rows)} objectives; give one for each row."
            )

    @property
    def rows(self) -> tuple[ObjectiveSettings, ...]:
        """The objectives of a style's rows: the faithful one first, if there is one."""
        return (self.objective,) if self.faithful is None else (self.faithful, self.objective)

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of update ``step`` (from 0)."""
        if not self.steps:
            return self.learning_rate  # a budget in minutes has not been timed yet, so the end is far
        return self.learning_rate * min(1.0, (self.steps - step) / max(1.0, self.cooldown * self.steps))


FAITHFUL_CONTENT_WEIGHT = 3.0


def with_faithful_row(settings: TrainSettings, content_weight: float = FAITHFUL_CONTENT_WEIGHT) -> TrainSettings:
    """Return ``settings``, which have one row, for two rows a style.

    ``content_weight`` is the faithful row's. Most paintings need 3 to keep faces, some with strong lines 5; more keeps
    the photo's texture too.
    """
    faithful = replace(
        settings.objective,
        content_layers=("relu2_1", "relu3_1", "relu4_1"),
        content_layer_weights=(0.5, 1.0, 1.0),
        nearby_layers=(),
        content_weight=content_weight,
    )
    return replace(
        settings,
        network=replace(settings.network, rows_per_style=2),
        faithful=faithful,
        mesh_weight=8.0,
        mean_weight=2.0,
        row_rate=5.0,
        steady_weight=3.0,
        face_share=0.4,
    )


def training_settings_from(data: Mapping[str, Any]) -> TrainSettings:
    """Return the settings whose ``dataclasses.asdict`` is ``data``, which may come from JSON.

    Settings that older data lack take their defaults, which keep the old behaviour. Raises KeyError, TypeError,
    ValueError or StyleError for data of another form.
    """
    values = dict(data)
    network = TransformerSettings(**values.pop("network"))
    objective, faithful = _objective_from(values.pop("objective")), values.pop("faithful", None)
    return TrainSettings(objective, network, **values, faithful=None if faithful is None else _objective_from(faithful))


def _objective_from(data: Mapping[str, Any]) -> ObjectiveSettings:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    return ObjectiveSettings(**values)


@dataclass(frozen=True)
class TrainingIntervals:
    """The steps between two checkpoints, and between two reports, which are slow on a GPU: reading losses stalls it."""

    save: int = 100
    report: int = 1


def warmup_and_cosine(step: int, steps: int, warmup: int) -> float:
    """Return the share of the largest learning rate at update ``step`` (from 0) of ``steps``.

    It grows for ``warmup`` updates and falls along half a cosine (Loshchilov and Hutter 2016, arXiv 1608.03983).
    """
    return min(1.0, (step + 1) / warmup) * (0.5 + 0.5 * cos(pi * step / steps))


@dataclass(frozen=True)
class DistillSettings:
    """The settings of one distillation of a small feature network (see nst_core/distill/distillation.py).

    Attributes:
        channels: channels of the five blocks. VGG-19 has 64, 128, 256, 512 and 512.
        steps: updates in all; the learning rate grows for ``warmup`` of them and then falls along half a cosine.
        warmup: updates with a growing learning rate.
        batch: pictures in each step.
        crop: height and width of those pictures in pixels.
        rendered: pictures in each step, in addition to the ``batch``, that the network itself is painting.
        gram_weight: weight of the Gram matrices relative to the features.
        first_layer: the first layer to learn; earlier layers, and the convolutions they need, stay as they are.
        learning_rate: AdamW's largest step.
        mixed_precision: compute in bfloat16 where PyTorch considers it safe; the weights stay float32.
        seed: the seed of all randomness.
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
        """Return the learning rate of update ``step`` (from 0)."""
        return self.learning_rate * warmup_and_cosine(step, self.steps, self.warmup)


@dataclass(frozen=True)
class DecoderSettings:
    """The settings of one training of a decoder (see nst_core/instant/decoder_training.py).

    Raises StyleError for a crop that four halvings do not divide.

    Attributes:
        level: the block whose first ReLU the decoder inverts, 1 to 5.
        steps: updates in all; the learning rate grows for ``warmup`` of them and then falls along half a cosine.
        warmup: updates with a growing learning rate.
        batch: pictures in each step.
        crop: height and width of those pictures in pixels.
        feature_weight: weight of the error of the decoded picture's activations, relative to their mean square; it is
            added to the mean square error of the pixels.
        style_weight: weight of the style loss of pictures that were decoded from transformed activations; 0 trains on
            reconstruction alone.
        learning_rate: Adam's largest step.
        mixed_precision: compute in bfloat16 where PyTorch considers it safe; the weights stay float32.
        seed: the seed of all randomness.
    """

    level: int = 5
    steps: int = 4000
    warmup: int = 50
    batch: int = 4
    crop: int = 160
    feature_weight: float = 0.01
    style_weight: float = 0.0
    learning_rate: float = 5e-4
    mixed_precision: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.crop % 16:
            raise StyleError(f"The crop is {self.crop} pixels; give a multiple of 16.")

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of update ``step`` (from 0)."""
        return self.learning_rate * warmup_and_cosine(step, self.steps, self.warmup)
