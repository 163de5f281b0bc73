"""Turn the filter's settings and the layers of an image into painted layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

import background
import pixels
import records
from gi.repository import Gimp
from showable import showable
from translation import _

from nst_core.base.errors import StyleError
from plugin.engine.api import Engine
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.machine.stopwatch import Stopwatch
from plugin.engine.messages import FastRequest, IterativeRequest, RawPicture

if TYPE_CHECKING:
    from nst_core.base.recipes import Recipe

# Up to this number, pixels are read without asking an engine that may still be starting; it checks the memory later.
UNCHECKED_PIXELS = 2**24


@dataclass(frozen=True)
class LayerPainter:
    """Paints the layers of one run of the filter.

    Attributes:
        engine: paints the pictures.
        config: the settings.
        clock: measures every stage except the writing.
        monitor: shows the progress and may end it early, or None.
    """

    engine: Engine
    config: Gimp.ProcedureConfig
    clock: Stopwatch
    monitor: background.ProgressMonitor | None = None

    def paint(self, layers: Sequence[Gimp.Layer], with_selection: bool = False) -> tuple[str, list[RawPicture]]:
        """Paint layers, without changing the image.

        Returns the title of the style and a painting of each layer, or of the first layers if ``monitor`` stops it.
        Raises StyleError if the settings or the layers do not allow it, and background.PaintingCancelledError if
        ``monitor`` is cancelled.
        """
        title, request = read_request(self.engine, self.config)
        # Even to read a picture can take too much memory.
        pixel_count = sum(layer.get_width() * layer.get_height() for layer in layers)
        if pixel_count > UNCHECKED_PIXELS:
            self.engine.check_pictures(pixel_count)
        pictures = [pixels.read_layer(layer, with_selection) for layer in layers]
        self.clock.lap("read")
        opened = self.monitor.layers if self.monitor else ()
        painted = background.run(
            lambda report: self.engine.paint(pictures, request, report, layers=opened), title, self.monitor
        )
        self.clock.lap("wait", *(each.seconds for each in painted))
        background.show_messages_once(note for each in painted for note in each.notes)
        for layer, picture in zip(layers, pictures, strict=True):
            if not layer.is_valid() or (layer.get_height(), layer.get_width()) != (picture.height, picture.width):
                raise StyleError(
                    _("The layer was removed or resized while it was being painted; run the filter again.")
                )
        return title, [each.picture for each in painted]


def find_sources(drawables: Sequence[Gimp.Drawable]) -> list[Gimp.Layer]:
    """Return the layers to paint, each once: the source of a painting, if it still exists, in place of the painting.

    A mask stands for its layer.
    """
    sources = (records.find_source(layer) or layer for layer in pixels.unique_layers(drawables))
    return pixels.unique_layers(sources)


def find_subjects(drawables: Sequence[Gimp.Drawable]) -> list[list[Gimp.Layer]]:
    """Return the layers to paint by default and, if those differ, the drawables' own layers."""
    sources, layers = find_sources(drawables), pixels.unique_layers(drawables)
    ids = [[layer.get_id() for layer in subject] for subject in (sources, layers)]
    return [sources, layers] if ids[0] != ids[1] else [layers]


def paint(
    image: Gimp.Image, drawables: Sequence[Gimp.Drawable], painter: LayerPainter, from_sources: bool = False
) -> list[Gimp.Layer]:
    """Paint the drawables in one undo step, and return the new or changed layers.

    With ``from_sources`` the layers that ``find_sources`` returns are painted, and their paintings go above or into
    the drawables. If the monitor stops the painting, layers that were not begun are left out. Raises StyleError if the
    settings or the drawables do not allow it, and background.PaintingCancelledError if the monitor is cancelled; the
    image is then unchanged.
    """
    config = painter.config
    output = config.get_property("output")
    in_place = output == "in-place"
    if not drawables:
        raise StyleError(_("No layer is selected; select the layer to paint."))
    _check_colours(image)
    layers = _find_layers(drawables, in_place)
    sources = find_sources(layers) if from_sources else layers
    for layer in layers if in_place else sources:
        _check_selection(layer)
    title, paintings = painter.paint(sources, with_selection=output == "image")
    for layer in layers:
        if not layer.is_valid():
            raise StyleError(_("The layer was removed or resized while it was being painted; run the filter again."))
        _find_layer(layer, in_place)  # checks again: GIMP was not blocked all that time

    # The image changes only once everything is computed.
    name = _layer_name(title, config)
    sources = sources[: len(paintings)]
    if output == "image":
        layers = pixels.write_new_image(sources, name, paintings)
        for layer in layers:
            records.write(layer, config, None, name)
        return layers
    targets = _find_targets(layers, sources, paintings, from_sources)
    image.undo_group_start()
    try:
        if in_place:
            return [_write_in_place(target, config, name) for target in targets]
        new_layers = _write_above(targets, config, name)
        image.set_selected_layers(new_layers)
        return new_layers
    finally:
        image.undo_group_end()


@dataclass(frozen=True)
class _Target:
    """A selected layer, the layer that was painted for it, which may be the same, and the painting."""

    layer: Gimp.Layer
    source: Gimp.Layer
    painting: RawPicture


def _find_targets(
    layers: Sequence[Gimp.Layer],
    sources: Sequence[Gimp.Layer],
    paintings: Sequence[RawPicture],
    from_sources: bool,
) -> list[_Target]:
    """Return a target for each of ``layers`` whose source was painted."""
    painted = {source.get_id(): painting for source, painting in zip(sources, paintings, strict=True)}
    targets = []
    for layer in layers:
        (source,) = find_sources([layer]) if from_sources else [layer]
        if source.get_id() in painted:
            targets.append(_Target(layer, source, painted[source.get_id()]))
    return targets


def _write_in_place(target: _Target, config: Gimp.ProcedureConfig, name: str) -> Gimp.Layer:
    """Write the painting into the target's layer, and return the layer."""
    layer, source = target.layer, target.source
    pixels.write_in_place(layer, source, target.painting)
    # A layer whose own pixels were painted no longer has them.
    records.write(layer, config, source if source.get_id() != layer.get_id() else None, name)
    return layer


def _write_above(targets: Sequence[_Target], config: Gimp.ProcedureConfig, name: str) -> list[Gimp.Layer]:
    """Write one new layer for each source, above the highest layer that stands for it, and return the new layers."""
    highest: dict[int, _Target] = {}
    for target in targets:
        other = highest.setdefault(target.source.get_id(), target)
        if pixels.position(target.layer) < pixels.position(other.layer):
            highest[target.source.get_id()] = target
    new_layers = []
    for target in highest.values():
        new_layers.append(pixels.write_above(target.layer, target.source, name, target.painting))
        records.write(new_layers[-1], config, target.source, name)
    return new_layers


@dataclass(frozen=True)
class PaintedLayer:
    """A layer that the filter painted, the layer that it was painted from, and its record."""

    layer: Gimp.Layer
    source: Gimp.Layer
    record: records.Record


def find_painted_layer(image: Gimp.Image, drawables: Sequence[Gimp.Drawable]) -> PaintedLayer:
    """Return the one selected painting. Raises StyleError if there is none, or if its source is gone."""
    _check_colours(image)
    layers = _find_layers(drawables, in_place=False)
    if len(layers) != 1:
        raise StyleError(_("{count} layers are selected; select only the painting to edit.").format(count=len(layers)))
    (layer,) = layers
    record = records.read(layer)
    source = records.find_source(layer)
    if source is None:
        raise StyleError(
            _(
                "The photo that {layer!r} was painted from is not a layer of this image; choose Filters > Artistic > "
                "Neural Style… to paint another layer."
            ).format(layer=layer.get_name())
        )
    _check_unlocked(layer)
    return PaintedLayer(layer, source, record)


def paint_again(painted: PaintedLayer, painter: LayerPainter) -> Gimp.Layer:
    """Paint the source again, in one undo step, and return the new layer, above the old painting or in its place.

    Raises StyleError if the settings or the layers do not allow it, and background.PaintingCancelledError if the
    monitor is cancelled; the image is then unchanged.
    """
    config, layer = painter.config, painted.layer
    title, (painting,) = painter.paint([painted.source])
    if not layer.is_valid():
        raise StyleError(_("The painting was removed while it was being painted again; run the filter again."))
    name = _layer_name(title, config)
    # A name that the user gave stays.
    shown_name = name if layer.get_name().startswith(painted.record.name) else layer.get_name()
    image = layer.get_image()
    image.undo_group_start()
    try:
        replace_old = config.get_property("output") == "replace"
        new = pixels.write_copy(layer, painted.source, painting, replace=replace_old)
        new.set_name(shown_name)
        records.write(new, config, painted.source, name)
        image.set_selected_layers([new])
    finally:
        image.undo_group_end()
    return new


def read_recipe(config: Gimp.ProcedureConfig) -> Recipe:
    """Return the recipe that ``config`` gives for a style from a picture."""
    from nst_core.base.presets import PRESETS

    default = PRESETS["default"]
    numbers = {name: config.get_property(name) for name in ("size", "iterations")}
    features = config.get_property("features") or ""
    return replace(default, settings=replace(default.settings, **numbers), features=features)


def read_request(engine: Engine, config: Gimp.ProcedureConfig) -> tuple[str, FastRequest | IterativeRequest]:
    """Return the title of the style and the request that ``config`` describes.

    Raises StyleError if there is no such style, or if PyTorch is missing for a style from a picture.
    """
    blend = BlendSettings(config.get_property("strength"), config.get_property("keep-colors"))
    file = config.get_property("style-image")
    if file:
        engine.require_torch()
        title = PurePath(file.get_basename()).stem
        return title, IterativeRequest(pixels.read_file(file), read_recipe(config), blend)
    styles = find_styles(config.get_property("style") or "")
    settings = FastSettings(
        stroke_size=config.get_property("stroke-size"),
        full_resolution=config.get_property("full-resolution"),
        blend=blend,
    )
    return " + ".join(style.title for style in styles), FastRequest(styles, settings)


def _layer_name(title: str, config: Gimp.ProcedureConfig) -> str:
    return showable(f"Neural Style: {title}, {config.get_property('strength'):g} %")


def _check_colours(image: Gimp.Image) -> None:
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise StyleError(_("An indexed image has too few colours to paint with; choose Image > Mode > RGB first."))


def _check_selection(layer: Gimp.Layer) -> None:
    if not layer.mask_intersect()[0]:
        raise StyleError(
            _("The selection does not touch the layer {layer!r}; move or remove the selection.").format(
                layer=layer.get_name()
            )
        )


def _find_layers(drawables: Sequence[Gimp.Drawable], in_place: bool) -> list[Gimp.Layer]:
    """Return the layers to paint, each once. Raises StyleError as ``_find_layer`` does."""
    return pixels.unique_layers(_find_layer(drawable, in_place) for drawable in drawables)


def _find_layer(drawable: Gimp.Drawable, in_place: bool) -> Gimp.Layer:
    """Return the drawable's layer. Raises StyleError if it cannot be painted, or not ``in_place``."""
    name = drawable.get_name()
    if drawable.is_layer_mask():
        if in_place:
            raise StyleError(
                _("{name!r} is a layer mask; select its layer, or {other_output}.").format(
                    name=name, other_output=_("choose the output New layer above")
                )
            )
        layer = Gimp.Layer.from_mask(drawable)
    elif drawable.is_layer():
        layer = drawable
    else:
        raise StyleError(_("{name!r} is not a layer but a channel; select a layer.").format(name=name))
    if in_place:
        _check_own_pixels(layer)
        _check_unlocked(layer)
    return layer


def _check_own_pixels(layer: Gimp.Layer) -> None:
    """Raise StyleError unless what the layer shows is its own pixels."""
    name, other_output = layer.get_name(), _("choose the output New layer above")
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
