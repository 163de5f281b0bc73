"""From the filter's settings and the layers of an image to painted layers. Needs the engine to be connected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePath

import background
import numpy as np
import pixels
from gi.repository import Gimp

from nst_core.errors import StyleError
from nst_core.settings import RenderSettings
from plugin.engine.memory import check_memory
from plugin.engine.picture import Picture
from plugin.engine.progress import Progress, ProgressCallback
from plugin.engine.stylize import PICTURE_BYTES_PER_PIXEL

Painter = Callable[[Picture, ProgressCallback], np.ndarray]


def paint(
    image: Gimp.Image,
    drawables: Sequence[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    watcher: background.Watcher | None = None,
) -> list[Gimp.Layer]:
    """Paint ``drawables`` as ``config`` says, in one undo step, and return the new or changed layers.

    Raises StyleError, the image untouched, if the settings or the drawables do not allow it, and background.Cancelled
    if ``watcher`` wants it no more.
    """
    output = config.get_property("output")
    in_place = output == "in-place"
    if not drawables:
        raise StyleError("No layer is selected; select the layer to paint.")
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise StyleError("An indexed image has too few colours to paint with; choose Image > Mode > RGB first.")
    layers = _paintable_layers(drawables, in_place)
    # Before the first pixel is read: a picture can be too large for the reading itself.
    check_memory(sum(layer.get_width() * layer.get_height() for layer in layers), PICTURE_BYTES_PER_PIXEL, False)
    title, painter = _iterative(config) if config.get_property("style-image") else _fast(config)
    pictures = [pixels.read_layer(layer, with_selection=output == "image") for layer in layers]
    painted = background.run(lambda report: _paint_all(pictures, painter, report), title, watcher)

    for layer, picture in zip(layers, pictures, strict=True):
        # GIMP was not blocked all that time.
        if not layer.is_valid() or (layer.get_height(), layer.get_width()) != (picture.height, picture.width):
            raise StyleError("The layer was removed or resized while it was being painted; run the filter again.")
        _paintable(layer, in_place)

    # Everything is computed: only now the image changes.
    name = f"{title} {config.get_property('strength'):g} %"
    if output == "image":
        return pixels.write_new_image(layers, name, painted)
    image.undo_group_start()
    try:
        if in_place:
            for layer, result in zip(layers, painted, strict=True):
                pixels.write_in_place(layer, result)
        else:
            layers = [pixels.write_above(layer, name, result) for layer, result in zip(layers, painted, strict=True)]
            image.set_selected_layers(layers)
    finally:
        image.undo_group_end()
    Gimp.displays_flush()
    return layers


def _paintable_layers(drawables: Sequence[Gimp.Drawable], in_place: bool) -> list[Gimp.Layer]:
    """The layers that are meant, each once: a layer and its mask may both be selected."""
    layers = {layer.get_id(): layer for layer in (_paintable(drawable, in_place) for drawable in drawables)}
    return list(layers.values())


def _paintable(drawable: Gimp.Drawable, in_place: bool) -> Gimp.Layer:
    """The layer that is meant. Raises StyleError if it cannot be painted that way."""
    name = drawable.get_name()
    other_output = "choose the output New layer above"
    if drawable.is_layer_mask():
        if in_place:
            raise StyleError(f"{name!r} is a layer mask; select its layer, or {other_output}.")
        layer = Gimp.Layer.from_mask(drawable)
    elif drawable.is_layer():
        layer = drawable
    else:
        raise StyleError(f"{name!r} is no layer but a channel; select a layer.")
    if in_place:
        for kind in ("group", "text_layer", "vector_layer", "link_layer"):
            # GIMP 3.0 has no vector and link layers.
            if getattr(layer, f"is_{kind}", lambda: False)():
                what = kind.replace("_", " ").replace("group", "layer group")
                raise StyleError(f"{name!r} is a {what}, which has no pixels of its own to change; {other_output}.")
        if layer.get_filters():
            raise StyleError(f"{name!r} has effects, which would be applied to the paint too; {other_output}.")
        item = layer
        while item is not None:
            if item.get_lock_content():
                raise StyleError(f"The pixels of {item.get_name()!r} are locked; unlock them, or {other_output}.")
            item = item.get_parent()
    if not layer.mask_intersect()[0]:
        raise StyleError(f"The selection does not touch the layer {name!r}; move or remove the selection.")
    return layer


def _fast(config: Gimp.ProcedureConfig) -> tuple[str, Painter]:
    from plugin.engine.style_library import find_styles
    from plugin.engine.stylize import StylizeSettings, stylize

    styles = find_styles(config.get_property("style") or "")
    settings = StylizeSettings(
        strength=config.get_property("strength"),
        stroke_size=config.get_property("stroke-size"),
        keep_colors=config.get_property("keep-colors"),
    )
    title = " + ".join(style.title for style in styles)
    return title, lambda picture, report: stylize(picture, styles, settings, report).pixels


def _iterative(config: Gimp.ProcedureConfig) -> tuple[str, Painter]:
    from plugin.engine.render import render, require_torch

    require_torch()
    file = config.get_property("style-image")
    style_picture = pixels.read_file(file)
    settings = RenderSettings(size=config.get_property("size"), iterations=config.get_property("iterations"))
    names = ("features", "strength", "keep-colors")
    options = {name.replace("-", "_"): config.get_property(name) for name in names}

    def painter(picture: Picture, report: ProgressCallback) -> np.ndarray:
        return render(picture, style_picture, settings, report, keep_size=True, **options).pixels

    return PurePath(file.get_basename()).stem, painter


def _paint_all(pictures: Sequence[Picture], painter: Painter, report: ProgressCallback) -> list[np.ndarray]:
    def part(index: int) -> ProgressCallback:
        def forward(progress: Progress) -> bool:
            return report(replace(progress, fraction=(index + progress.fraction) / len(pictures), part=index))

        return forward

    return [painter(picture, part(index)) for index, picture in enumerate(pictures)]
