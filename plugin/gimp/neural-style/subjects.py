"""The layers of one run of the filter, and why they cannot be painted. Needs the engine to be connected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pixels
import records
from gi.repository import Gimp
from procedure_arguments import is_iterative
from translation import _

from nst_core.base.errors import StyleError
from plugin.engine.messages import RawPicture


@dataclass(frozen=True)
class Target:
    """A layer that receives a painting.

    Attributes:
        layer: the layer.
        source: the layer that is painted, which may be the same.
        by_mask: whether the layer's mask was selected rather than the layer itself.
    """

    layer: Gimp.Layer
    source: Gimp.Layer
    by_mask: bool = False


@dataclass(frozen=True)
class Subject:
    """The layers of one run of the filter, each once.

    Attributes:
        targets: the layers with their sources.
        with_selection: whether the selection limits where the style goes.
    """

    targets: tuple[Target, ...]
    with_selection: bool = True

    @property
    def image(self) -> Gimp.Image:
        """The image that holds the layers."""
        return self.targets[0].layer.get_image()

    @property
    def sources(self) -> list[Gimp.Layer]:
        """The layers to paint, each once."""
        return pixels.unique_layers(target.source for target in self.targets)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """The heights and widths of the layers to paint."""
        return [(layer.get_height(), layer.get_width()) for layer in self.sources]

    def describe(self) -> str:
        """Return the names of the layers to paint and, if there are several, their number."""
        names = [layer.get_name() for layer in self.sources]
        if len(names) == 1:
            return str(names[0])
        return _("{count} layers: {names}").format(count=len(names), names=", ".join(names))

    def check_presence(self) -> None:
        """Raise StyleError if a layer was removed."""
        if not all(target.layer.is_valid() and target.source.is_valid() for target in self.targets):
            raise StyleError(_("The layer to paint was removed; select another layer and run the filter again."))

    def check(self, output: str) -> None:
        """Raise StyleError if the layers or the selection do not allow a painting that goes to ``output``."""
        self.check_layers(output)
        if self.with_selection:
            for layer in [target.layer for target in self.targets] if output == "in-place" else self.sources:
                _check_selection(layer)

    def check_layers(self, output: str) -> None:
        """Raise StyleError if the layers do not allow a painting that goes to ``output``, whatever is selected."""
        self.check_presence()
        for target in self.targets:
            _check_colours(target.layer.get_image())
            _check_visible_pixels(target.source)
            if output == "in-place":
                _check_own_pixels(target)
            if output in ("in-place", "replace"):
                _check_unlocked(target.layer)
            elif output == "layer":
                _check_anchored(target.layer)


@dataclass(frozen=True)
class PaintedLayer(Subject):
    """A layer that the filter painted, and its record."""

    record: records.Record = records.Record({}, None, "")

    @property
    def target(self) -> Target:
        """The painting with the layer that it was painted from."""
        return self.targets[0]

    @cached_property
    def render(self) -> bytes:
        """The render that the painting keeps, or nothing."""
        return records.read_render(self.target.layer)

    @cached_property
    def _photo(self) -> RawPicture:
        return pixels.read_layer(self.target.source)

    def keeps_render(self, config: Gimp.ProcedureConfig) -> bool:
        """Return whether the painting keeps the very render that ``config`` asks for, so it need only be mixed."""
        file = config.get_property("style-image")
        if not (self.render and is_iterative(config) and file.get_path()):
            return False
        new = records.describe(config, "", {Path(file.get_path())}, self._photo)
        return records.have_same_render(self.record, new)


def find_subjects(drawables: Sequence[Gimp.Drawable]) -> list[Subject]:
    """Return the choices of what to paint when these drawables are selected.

    The first is for people: the layer that a painting was painted from, if it still exists, stands for the painting,
    because the filter selects the new layer. The last is for scripts: the drawables' own layers. If both are the same,
    there is one. Raises StyleError if no layer is selected.
    """
    layers = _find_layers(drawables)
    if not layers:
        raise StyleError(_("No layer is selected; select the layer to paint."))
    own = Subject(tuple(Target(layer, layer, by_mask) for layer, by_mask in layers))
    people = Subject(tuple(Target(layer, records.find_source(layer) or layer, by_mask) for layer, by_mask in layers))
    ids = [[layer.get_id() for layer in subject.sources] for subject in (people, own)]
    return [people, own] if ids[0] != ids[1] else [own]


def find_painted_layer(drawables: Sequence[Gimp.Drawable]) -> PaintedLayer:
    """Return the one selected painting. Raises StyleError if there is none, or if its source is gone."""
    layers = _find_layers(drawables)
    if len(layers) != 1:
        raise StyleError(_("{count} layers are selected; select only the painting to edit.").format(count=len(layers)))
    ((layer, by_mask),) = layers
    record = records.read(layer)
    source = records.find_source(layer)
    if source is None:
        raise StyleError(
            _(
                "The photo that {layer!r} was painted from is not a layer of this image; choose Filters > Artistic > "
                "Neural Style… to paint another layer."
            ).format(layer=layer.get_name())
        )
    return PaintedLayer((Target(layer, source, by_mask),), with_selection=False, record=record)


def _find_layers(drawables: Iterable[Gimp.Drawable]) -> list[tuple[Gimp.Layer, bool]]:
    """Return each drawable's layer once, and whether it was selected by its mask."""
    layers: dict[int, tuple[Gimp.Layer, bool]] = {}
    for drawable in drawables:
        if drawable.is_layer_mask():
            layer = Gimp.Layer.from_mask(drawable)
            layers[layer.get_id()] = layer, True
        elif drawable.is_layer():
            layers.setdefault(drawable.get_id(), (drawable, False))
        else:
            raise StyleError(
                _("{name!r} is not a layer but a channel; select a layer.").format(name=drawable.get_name())
            )
    return list(layers.values())


def _check_colours(image: Gimp.Image) -> None:
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise StyleError(_("An indexed image has too few colours to paint with; choose Image > Mode > RGB first."))


def _check_visible_pixels(layer: Gimp.Layer) -> None:
    if _is_empty_group(layer):
        raise StyleError(
            _("The layer group {layer!r} is empty; put a layer into it, or select another layer.").format(
                layer=layer.get_name()
            )
        )


def _is_empty_group(layer: Gimp.Layer) -> bool:
    return layer.is_group() and all(map(_is_empty_group, layer.get_children()))


def _check_selection(layer: Gimp.Layer) -> None:
    if not layer.mask_intersect()[0]:
        raise StyleError(
            _("The selection does not touch the layer {layer!r}; move or remove the selection.").format(
                layer=layer.get_name()
            )
        )


def _check_own_pixels(target: Target) -> None:
    """Raise StyleError unless the target shows its own pixels."""
    layer, other_output = target.layer, _("choose the output New layer above")
    name = layer.get_name()
    if target.by_mask:
        raise StyleError(
            _("{name!r} is a layer mask; select its layer, or {other_output}.").format(
                name=layer.get_mask().get_name(), other_output=other_output
            )
        )
    for kind, description in (
        ("group", _("a layer group")),
        ("text_layer", _("a text layer")),
        ("vector_layer", _("a vector layer")),
        ("link_layer", _("a link layer")),
    ):
        # GIMP 3.0 has no vector and link layers.
        if getattr(layer, f"is_{kind}", lambda: False)():
            text = _("{name!r} is {what}, which has no pixels of its own to change; {other_output}.")
            raise StyleError(text.format(name=name, what=description, other_output=other_output))
    if layer.get_filters():
        raise StyleError(
            _("{name!r} has effects, which would also apply to the painting; {other_output}.").format(
                name=name, other_output=other_output
            )
        )


def _check_unlocked(layer: Gimp.Layer) -> None:
    item = layer
    while item is not None:
        if item.get_lock_content():
            raise StyleError(
                _("The pixels of {item!r} are locked; unlock them, or choose the output New layer above.").format(
                    item=item.get_name()
                )
            )
        item = item.get_parent()


def _check_anchored(layer: Gimp.Layer) -> None:
    if layer.is_floating_sel():
        raise StyleError(
            _(
                "{layer!r} is a floating selection, which would cover its painting; anchor it or make it a layer "
                "first (in the menu Layer)."
            ).format(layer=layer.get_name())
        )
