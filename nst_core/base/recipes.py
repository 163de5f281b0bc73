"""Recipes: the settings of a render with its feature network, as presets and as plain data.

In the form of ``as_data`` a recipe stands in a TOML file, and in the metadata of the pictures that it made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from nst_core.base.errors import StyleError
from nst_core.base.settings import (
    GATYS_STYLE_LAYERS,
    POOLINGS,
    RANGES,
    IterativeSettings,
    ObjectiveSettings,
    check_choice,
)


@dataclass(frozen=True)
class Recipe:
    """All that a render takes beside its pictures: settings, and the feature network and pooling that go with them.

    ``features`` and ``pooling`` are as for nst_core.features.catalogue.load_features.
    """

    settings: IterativeSettings = field(default_factory=IterativeSettings)
    features: str = "auto"
    pooling: str = "max"

    def __post_init__(self) -> None:
        check_choice("pooling", self.pooling, POOLINGS)


def _classic(content: str, style: Sequence[str], **others: Any) -> ObjectiveSettings:
    """What the systems before 2018 have in common: plain Gram matrices, of as equal weight as they can be."""
    nearby = tuple(layer for layer in (content, *style) if not layer.endswith("_1"))
    weights = {"content_weight": 0.3, "tv_weight": 0.0} | others
    return ObjectiveSettings(
        content_layers=(content,),
        style_layers=tuple(style),
        style_layer_weights=(1 / len(style),) * len(style),
        centred=False,
        nearby_layers=nearby,
        **weights,
    )


# Small first, where a step is cheap and large strokes come about soon; L-BFGS with steps as broad as pictures are, and
# as far as each place bears; and in the processor's fastest precision.
_DEFAULT = IterativeSettings(coarsest=128, smaller_iterations=15, precondition=1.0, precision="auto")
_FAST_PREVIEW = replace(_DEFAULT, size=256, optimizer="lbfgs", iterations=45, smaller_iterations=8)

# Systems that others made, as far as they can be said in our settings: layers, pooling, optimiser, start and length are
# theirs. Weights do not carry over, since their losses have units and ours have none; where nothing else is said, the
# style layers share a weight of 1, as theirs do, and the content's 0.3 is ours. So is a VGG's first layer of the same
# block, where a network lacks the layer.
PRESETS = {
    "default": Recipe(_DEFAULT),
    # Ours, for a first look: a quarter of the default's pixels, few steps, and L-BFGS, whose first steps are its best.
    "fast-preview": Recipe(_FAST_PREVIEW),
    # Gatys et al. 2015, arXiv 1508.06576: average pooling, white noise, a fifth for each style layer. Theirs: a content
    # weight of 1e-3 or 1e-4 of the style's. The paper does not tell the number of steps; 500 is that of their notebook.
    "gatys-2015": Recipe(
        IterativeSettings(_classic("relu4_2", GATYS_STYLE_LAYERS), optimizer="lbfgs", start="noise", iterations=500),
        pooling="average",
    ),
    # The layers, the plain Gram matrices and the 500 steps from the photo of the authors' own notebook
    # (leongatys/NeuralImageSynthesis, BasicStyleTransfer.ipynb). Theirs: content 1, style 1000/C^2 by layer.
    "gatys-2017": Recipe(
        IterativeSettings(
            ObjectiveSettings(
                content_layers=("relu4_2",),
                centred=False,
                nearby_layers=("relu4_2",),
                content_weight=0.3,
                tv_weight=0.0,
            ),
            optimizer="lbfgs",
            iterations=500,
        )
    ),
    # jcjohnson/neural-style, neural_style.lua: 1000 steps of L-BFGS. Theirs: content 5, style 100, TV 1e-3 of squares.
    "neural-style": Recipe(
        IterativeSettings(
            _classic("relu4_2", GATYS_STYLE_LAYERS, tv_weight=1.0, tv_exponent=2.0),
            optimizer="lbfgs",
            start="noise",
            iterations=1000,
        )
    ),
    # crowsonkb/style-transfer-pytorch, style_transfer.py: Wasserstein-2, style layers 256:64:16:4:1, squared TV, Adam
    # at 0.02 with an average of 0.99, 128 to 512 by the root of 2, 1000 steps and then 500. Theirs: content 0.015,
    # style 1, TV 2. Their style losses are not relative, hence so steep a ratio; here each layer weighs the same.
    "crowson": Recipe(
        IterativeSettings(
            ObjectiveSettings(
                content_layers=("relu4_2",), style_loss="w2", nearby_layers=("relu4_2",), tv_weight=2.0, tv_exponent=2.0
            ),
            coarsest=128,
            optimizer="adam",
            iterations=500,
            first_iterations=1000,
            learning_rate=0.02,
            schedule="constant",
            average=0.99,
            shift=0,
        )
    ),
    # The fast.ai course's notebook: VGG-16 without its top, average pooling, random pixels, ten rounds of L-BFGS; we
    # take a round as 20 steps.
    "fastai": Recipe(
        IterativeSettings(
            _classic("relu4_2", [f"relu{block}_2" for block in range(1, 6)]),
            optimizer="lbfgs",
            start="noise",
            iterations=200,
        ),
        features="vgg16",
        pooling="average",
    ),
    # A report from Columbia, in Theano: max pooling, white noise, L-BFGS as the best of their three optimisers. Theirs:
    # content 0.2, style 1e-6 to 1e-5. The 200 steps are ours.
    "columbia": Recipe(
        IterativeSettings(_classic("relu4_2", GATYS_STYLE_LAYERS), optimizer="lbfgs", start="noise", iterations=200)
    ),
    # Keras's example: content from the fifth block, total variation to the power of 2 x 1.25, there of the gradient's
    # length and here of each direction's difference. Theirs: content 100, style 1 each. TV's 10 and 200 steps are ours.
    "keras": Recipe(
        IterativeSettings(
            _classic("relu5_2", GATYS_STYLE_LAYERS, content_weight=1.0, tv_weight=10.0, tv_exponent=2.5),
            optimizer="lbfgs",
            start="noise",
            iterations=200,
        )
    ),
    # A blog post in PyTorch: VGG-16 with average pooling, a quarter for each style layer, Adam with a learning rate of
    # 1 (of 255) that falls by steps. Theirs: a content weight of 1e-3 to 1e-4 of the style's. The 500 steps are ours.
    "pytorch-vgg16": Recipe(
        IterativeSettings(
            _classic("relu4_3", ("relu1_2", "relu2_2", "relu3_3", "relu4_3")),
            optimizer="adam",
            iterations=500,
            learning_rate=1 / 255,
            schedule="step",
            shift=0,
        ),
        features="vgg16",
        pooling="average",
    ),
    # A book chapter in OCaml: 250 steps of Adam from Gaussian noise x 0.256, which is of 255 and here, as a contrast of
    # uniform noise, 0.256 / 255 x root of 12. Theirs: style 20, and the noise around the mean colour; the learning rate
    # is ours.
    "owl": Recipe(
        IterativeSettings(
            _classic("relu4_2", GATYS_STYLE_LAYERS),
            optimizer="adam",
            start="noise",
            noise=0.0035,
            iterations=250,
            learning_rate=0.02,
            schedule="constant",
            shift=0,
        )
    ),
}


def as_data(recipe: Recipe) -> dict[str, Any]:
    """``recipe`` as a flat dictionary with one inner one, ``objective``; ``from_data`` reads it, also from JSON."""
    return {"features": recipe.features, "pooling": recipe.pooling} | asdict(recipe.settings)


def from_data(data: Mapping[str, Any], base: Recipe = Recipe(), source: str = "") -> Recipe:
    """``base`` with what ``data`` says, in the form of ``as_data``; whatever it does not name stays.

    Layers may also be written as ``layers_from`` reads them. Raises StyleError, its sentence beginning with ``source``
    (such as ``my.toml: ``), for an unknown name, a value of another kind or out of range, or values that contradict.
    """
    try:
        found = _checked(data, {"features": base.features, "pooling": base.pooling} | _fields(base.settings))
        network = {name: found.pop(name) for name in ("features", "pooling") if name in found}
        return replace(base, settings=replace(base.settings, **found), **network)
    except StyleError as error:
        raise StyleError(f"{source}{error}") from None


def objective_from_data(data: Mapping[str, Any], base: ObjectiveSettings) -> ObjectiveSettings:
    """The ``objective`` part of ``from_data``.

    Layers that are named come with their own weights, and nothing stands in for them unless ``data`` says so.
    """
    for kind in ("content", "style"):
        layers = data.get(f"{kind}_layers") if isinstance(data, Mapping) else None
        if layers is not None:
            names, weights = layers_from(layers) if isinstance(layers, str) else (layers, ())
            data = {f"{kind}_layer_weights": weights, **data, f"{kind}_layers": names}
    found = _checked(data, _fields(base))
    named = found.get("content_layers", ()) + found.get("style_layers", ())
    kept = tuple(layer for layer in base.nearby_layers if layer not in named)
    return replace(base, **({"nearby_layers": kept} | found))


def layers_from(text: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Layers and their weights of ``relu1_1=0.5,relu2_1``: 1 where there is none, and no weights at all if none has.

    Raises StyleError for a weight that is not a number.
    """
    pairs = [part.partition("=") for part in text.replace(" ", "").split(",")]
    layers = tuple(layer for layer, _, _ in pairs)
    if not any(sign for _, sign, _ in pairs):
        return layers, ()
    try:
        return layers, tuple(float(weight) if sign else 1.0 for _, sign, weight in pairs)
    except ValueError:
        raise StyleError(f"{text!r} has a weight that is no number; write it like relu1_1=0.5.") from None


def _fields(settings: Any) -> dict[str, Any]:
    return {one.name: getattr(settings, one.name) for one in fields(settings)}


def _checked(data: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """``data`` with each value in the kind of the default of its name."""
    if not isinstance(data, Mapping):
        raise StyleError(f"{data!r} stands where names and values should; make it a table.")
    found: dict[str, Any] = {}
    for name, value in data.items():
        if name not in defaults:
            raise StyleError(f"there is no setting {name!r}; choose from {', '.join(defaults)}.")
        default = defaults[name]
        if isinstance(default, ObjectiveSettings):
            found[name] = objective_from_data(value, default)
        elif isinstance(default, tuple):
            if not isinstance(value, (list, tuple)):
                raise StyleError(f"{name} is {value!r}; make it a list.")
            kind = float if name.endswith("weights") else str
            found[name] = tuple(_value(name, one, kind) for one in value)
        else:
            found[name] = _value(name, value, type(default))
    return found


def _value(name: str, value: Any, kind: type[Any]) -> Any:
    fitting = (int, float) if kind is float else (kind,)
    if not isinstance(value, fitting) or (isinstance(value, bool) and kind is not bool):
        words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
        raise StyleError(f"{name} is {value!r}; make it {words[kind]}.")
    if name in RANGES:
        low, high = RANGES[name]
        if not low <= value <= high:  # NaN too
            raise StyleError(f"{name} is {value:g}; give {low:g} to {high:g}.")
    return kind(value)
