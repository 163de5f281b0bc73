"""From the filter's settings and the layers of an image to painted layers. Needs the engine to be connected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

import background
import pixels
import records
from gi.repository import Gimp
from translation import _

from nst_core.base.errors import StyleError
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.machine.stopwatch import Stopwatch
from plugin.engine.messages import FastRequest, IterativeRequest, RawPicture

if TYPE_CHECKING:
    from nst_core.base.recipes import Recipe
    from plugin.engine.api import Engine

# Pixels that are read at once, without waiting for an engine that is just starting; it looks at the memory itself then.
READ_UNCHECKED = 2**24


def paint(
    engine: Engine,
    image: Gimp.Image,
    drawables: Sequence[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    clock: Stopwatch,
    watcher: background.Watcher | None = None,
) -> list[Gimp.Layer]:
    """Paint ``drawables`` as ``config`` says, in one undo step, and return the new or changed layers: without those
    that were not begun when ``watcher`` stopped it. ``clock`` measures all but the writing.

    Raises StyleError, the image untouched, if the settings or the drawables do not allow it, and background.Cancelled
    if ``watcher`` wants it no more.
    """
    output = config.get_property("output")
    in_place = output == "in-place"
    if not drawables:
        raise StyleError(_("No layer is selected; select the layer to paint."))
    _check_colours(image)
    layers = _paintable_layers(drawables, in_place)
    for layer in layers:
        if not layer.mask_intersect()[0]:
            raise StyleError(
                _("The selection does not touch the layer {layer!r}; move or remove the selection.").format(
                    layer=layer.get_name()
                )
            )
    title, painted = _painted(engine, layers, config, clock, watcher, with_selection=output == "image")
    layers = layers[: len(painted)]
    for layer in layers:
        _paintable(layer, in_place)  # GIMP was not blocked all that time

    # Everything is computed: only now the image changes.
    name = _name(title, config)
    if output == "image":
        layers = pixels.write_new_image(layers, name, painted)
        for layer in layers:
            records.write(layer, config, None, name)
        return layers
    image.undo_group_start()
    try:
        if in_place:
            for layer, result in zip(layers, painted, strict=True):
                pixels.write_in_place(layer, result)
                records.write(layer, config, None, name)
        else:
            sources = layers
            layers = [pixels.write_above(layer, name, result) for layer, result in zip(sources, painted, strict=True)]
            for layer, source in zip(layers, sources, strict=True):
                records.write(layer, config, source, name)
            image.set_selected_layers(layers)
    finally:
        image.undo_group_end()
    return layers


@dataclass(frozen=True)
class EarlierPainting:
    """A painted layer, the layer that it was painted from, and how."""

    layer: Gimp.Layer
    source: Gimp.Layer
    record: records.Record


def find_painting(image: Gimp.Image, drawables: Sequence[Gimp.Drawable]) -> EarlierPainting:
    """Find the one selected painting. Raises StyleError without one, or without the layer that it was painted from."""
    _check_colours(image)
    layers = _paintable_layers(drawables, in_place=False)
    if len(layers) != 1:
        raise StyleError(
            _("{count} layers are selected; select the one painting whose settings to change.").format(
                count=len(layers)
            )
        )
    (layer,) = layers
    record = records.read(layer)
    source = image.get_layer_by_tattoo(record.source) if record.source else None
    if source is None:
        raise StyleError(
            _(
                "The photo from which {layer!r} was painted is in no layer of this image; choose Filters > Artistic > "
                "Neural Style… to paint another layer."
            ).format(layer=layer.get_name())
        )
    _check_unlocked(layer)
    return EarlierPainting(layer, source, record)


def paint_again(
    engine: Engine,
    earlier: EarlierPainting,
    config: Gimp.ProcedureConfig,
    clock: Stopwatch,
    watcher: background.Watcher | None = None,
) -> Gimp.Layer:
    """Paint the source of an earlier painting as it is now, in one undo step, in the painting's place or over it.

    Returns the new layer. Raises StyleError, the image untouched, if the
    settings or the layers do not allow it, and background.Cancelled if ``watcher`` wants it no more.
    """
    layer, source = earlier.layer, earlier.source
    title, (painted,) = _painted(engine, [source], config, clock, watcher)
    if not layer.is_valid():
        raise StyleError(_("The painting was removed while it was painted anew; run the filter again."))
    name = _name(title, config)
    # A name of the user's own stays.
    shown = name if layer.get_name().startswith(earlier.record.name) else layer.get_name()
    image = layer.get_image()
    image.undo_group_start()
    try:
        new = pixels.write_again(layer, source, painted, replace=config.get_property("output") == "replace")
        new.set_name(shown)
        records.write(new, config, source, name)
        image.set_selected_layers([new])
    finally:
        image.undo_group_end()
    return new


def recipe(config: Gimp.ProcedureConfig) -> Recipe:
    """Return the recipe that ``config`` gives for a style from a picture."""
    from nst_core.base.presets import PRESETS

    default = PRESETS["default"]
    numbers = {name: config.get_property(name) for name in ("size", "iterations")}
    features = config.get_property("features") or ""
    return replace(default, settings=replace(default.settings, **numbers), features=features)


def choose(engine: Engine, config: Gimp.ProcedureConfig) -> tuple[str, FastRequest | IterativeRequest]:
    """The title of the style, and how to paint. Raises StyleError if there is no such style."""
    blend = BlendSettings(config.get_property("strength"), config.get_property("keep-colors"))
    file = config.get_property("style-image")
    if file:
        engine.require_torch()
        how = IterativeRequest(pixels.read_file(file), recipe(config), blend)
        return PurePath(file.get_basename()).stem, how
    styles = find_styles(config.get_property("style") or "")
    settings = FastSettings(
        stroke_size=config.get_property("stroke-size"),
        full_resolution=config.get_property("full-resolution"),
        blend=blend,
    )
    return " + ".join(style.title for style in styles), FastRequest(styles, settings)


def _painted(
    engine: Engine,
    layers: Sequence[Gimp.Layer],
    config: Gimp.ProcedureConfig,
    clock: Stopwatch,
    watcher: background.Watcher | None,
    with_selection: bool = False,
) -> tuple[str, list[RawPicture]]:
    """The title of the style, and the painted pixels of each layer, or of the first ones if it was stopped; the image
    is only read.
    """
    title, how = choose(engine, config)
    # A picture can be too large for the reading itself.
    count = sum(layer.get_width() * layer.get_height() for layer in layers)
    if count > READ_UNCHECKED:
        engine.check_pictures(count)
    pictures = [pixels.read_layer(layer, with_selection) for layer in layers]
    clock.lap("read")
    shown = watcher.layers if watcher else ()
    done = background.run(lambda report: engine.paint(pictures, how, report, layers=shown), title, watcher)
    clock.lap("wait", *(painted.seconds for painted in done))
    background.tell_once(note for painted in done for note in painted.notes)
    for layer, picture in zip(layers, pictures, strict=True):
        if not layer.is_valid() or (layer.get_height(), layer.get_width()) != (picture.height, picture.width):
            raise StyleError(_("The layer was removed or resized while it was being painted; run the filter again."))
    return title, [painted.picture for painted in done]


def _name(title: str, config: Gimp.ProcedureConfig) -> str:
    return f"Neural Style: {title}, {config.get_property('strength'):g} %"


def _check_colours(image: Gimp.Image) -> None:
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise StyleError(_("An indexed image has too few colours to paint with; choose Image > Mode > RGB first."))


def _paintable_layers(drawables: Sequence[Gimp.Drawable], in_place: bool) -> list[Gimp.Layer]:
    """The layers that are meant, each once: a layer and its mask may both be selected."""
    return pixels.layers_of(_paintable(drawable, in_place) for drawable in drawables)


def _paintable(drawable: Gimp.Drawable, in_place: bool) -> Gimp.Layer:
    """The layer that is meant. Raises StyleError if it cannot be painted that way."""
    name = drawable.get_name()
    other_output = _("choose the output New layer above")
    if drawable.is_layer_mask():
        if in_place:
            raise StyleError(
                _("{name!r} is a layer mask; select its layer, or {other_output}.").format(
                    name=name, other_output=other_output
                )
            )
        layer = Gimp.Layer.from_mask(drawable)
    elif drawable.is_layer():
        layer = drawable
    else:
        raise StyleError(_("{name!r} is no layer but a channel; select a layer.").format(name=name))
    if in_place:
        for kind, what in (
            ("group", _("a layer group")),
            ("text_layer", _("a text layer")),
            ("vector_layer", _("a vector layer")),
            ("link_layer", _("a link layer")),
        ):
            # GIMP 3.0 has no vector and link layers.
            if getattr(layer, f"is_{kind}", lambda: False)():
                text = _("{name!r} is {what}, which has no pixels of its own to change; {other_output}.")
                raise StyleError(text.format(name=name, what=what, other_output=other_output))
        if layer.get_filters():
            raise StyleError(
                _("{name!r} has effects, which would be applied to the paint too; {other_output}.").format(
                    name=name, other_output=other_output
                )
            )
        _check_unlocked(layer)
    return layer


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
