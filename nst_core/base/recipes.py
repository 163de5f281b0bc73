"""Recipes: the settings of a render with its feature network, and their form as plain data.

TOML files and the metadata of rendered pictures hold a recipe in the form of ``as_data``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from nst_core.base.errors import StyleError, check_choice
from nst_core.base.iterative_settings import ITERATIVE_RANGES, PLAIN_SETTINGS, IterativeSettings
from nst_core.base.objective_settings import OBJECTIVE_RANGES, POOLINGS, ObjectiveSettings


@dataclass(frozen=True)
class Recipe:
    """Everything that a render needs besides its pictures.

    Attributes:
        settings: the settings of the render.
        features: the feature network, as nst_core.features.catalogue.load_features takes it.
        pooling: the pooling of the feature network, ``max`` or ``average``.
    """

    settings: IterativeSettings = field(default_factory=IterativeSettings)
    features: str = "auto"
    pooling: str = "max"

    def __post_init__(self) -> None:
        check_choice("pooling", self.pooling, POOLINGS)


# The values of the settings that a recorded recipe lacks, because they were added after the picture was painted.
RECORD_BASE = Recipe(PLAIN_SETTINGS)


def as_data(recipe: Recipe) -> dict[str, Any]:
    """Return ``recipe`` as a flat dictionary with one inner one, ``objective``. It names every setting."""
    return {"features": recipe.features, "pooling": recipe.pooling} | asdict(recipe.settings)


def from_data(data: Mapping[str, Any], base: Recipe, source: str = "") -> Recipe:
    """Return ``base`` updated with ``data``, which has the form of ``as_data`` and may come from JSON or TOML.

    Settings that ``data`` does not name stay as in ``base``. Layers may also be written as ``layers_from`` reads them.
    Raises StyleError, with ``source`` (such as ``my.toml: ``) in front of its sentence, for an unknown name, a value of
    the wrong type or out of range, or values that contradict one another.
    """
    try:
        values = _checked(data, {"features": base.features, "pooling": base.pooling} | _fields(base.settings))
        network = {name: values.pop(name) for name in ("features", "pooling") if name in values}
        return replace(base, settings=replace(base.settings, **values), **network)
    except StyleError as error:
        raise StyleError(f"{source}{error}") from None


def objective_from_data(data: Mapping[str, Any], base: ObjectiveSettings) -> ObjectiveSettings:
    """Return ``base`` with the values in ``data``, the ``objective`` part of ``from_data``.

    Layers given by name bring their own weights, and no other layer may replace them unless ``data`` says so.
    """
    for kind in ("content", "style"):
        layers = data.get(f"{kind}_layers") if isinstance(data, Mapping) else None
        if layers is not None:
            names, weights = layers_from(layers) if isinstance(layers, str) else (layers, ())
            data = {f"{kind}_layer_weights": weights, **data, f"{kind}_layers": names}
    values = _checked(data, _fields(base))
    named = values.get("content_layers", ()) + values.get("style_layers", ())
    nearby = tuple(layer for layer in base.nearby_layers if layer not in named)
    return replace(base, **({"nearby_layers": nearby} | values))


def layers_from(text: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the layers and weights in a text such as ``relu1_1=0.5,relu2_1``.

    A layer without a weight weighs 1; if no layer has a weight, the weights are empty. Raises StyleError for a weight
    that is not a number.
    """
    pairs = [part.partition("=") for part in text.replace(" ", "").split(",")]
    layers = tuple(layer for layer, _, _ in pairs)
    if not any(sign for _, sign, _ in pairs):
        return layers, ()
    try:
        return layers, tuple(float(weight) if sign else 1.0 for _, sign, weight in pairs)
    except ValueError:
        raise StyleError(f"A weight in {text!r} is not a number; write it like relu1_1=0.5.") from None


def _fields(settings: Any) -> dict[str, Any]:
    return {one.name: getattr(settings, one.name) for one in fields(settings)}


def _checked(data: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``data`` after checking that each value has the type of its default. Raises StyleError if one has not."""
    if not isinstance(data, Mapping):
        raise StyleError(f"{data!r} is not a table of names and values; make it one.")
    values: dict[str, Any] = {}
    for name, value in data.items():
        if name not in defaults:
            raise StyleError(f"There is no setting {name!r}; choose from {', '.join(defaults)}.")
        default = defaults[name]
        if isinstance(default, ObjectiveSettings):
            values[name] = objective_from_data(value, default)
        elif isinstance(default, tuple):
            if not isinstance(value, (list, tuple)):
                raise StyleError(f"{name} is {value!r}; make it a list.")
            kind = float if name.endswith("weights") else str
            values[name] = tuple(_value(name, one, kind) for one in value)
        else:
            values[name] = _value(name, value, type(default))
    return values


def _value(name: str, value: Any, kind: type[Any]) -> Any:
    fitting = (int, float) if kind is float else (kind,)
    if not isinstance(value, fitting) or (isinstance(value, bool) and kind is not bool):
        words = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
        raise StyleError(f"{name} is {value!r}; make it {words[kind]}.")
    ranges = ITERATIVE_RANGES | OBJECTIVE_RANGES
    if name in ranges:
        low, high = ranges[name]
        if not low <= value <= high:  # NaN too
            raise StyleError(f"{name} is {value:g}; give {low:.10g} to {high:.10g}.")
    return kind(value)
