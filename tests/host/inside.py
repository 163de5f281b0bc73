"""Runs in GIMP's own Python: what the host tests ask GIMP to do. Pictures travel as float32 or bytes, the rest as
plain values; images, layers and other items go by their GIMP ids.
"""

from __future__ import annotations

import functools
import sys
import time
import traceback
from dataclasses import replace
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any

import gi
import numpy as np

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from gi.repository import Babl, Gegl, Gimp, Gio, GLib  # noqa: E402

PROCEDURE = "plug-in-neural-style"
ENCODED, LINEAR = "R'G'B'A float", "RGBA float"


def serve(address: str) -> None:
    """Answer calls, (function's name, arguments), with (whether it worked, its value or the traceback)."""
    with Listener(address) as listener, listener.accept() as connection:
        while True:
            try:
                name, arguments = connection.recv()
            except EOFError:
                return
            try:
                answer = (True, globals()[name](**arguments))
            except Exception:
                answer = (False, traceback.format_exc())
            connection.send(answer)


def describe(procedure: str = PROCEDURE) -> dict[str, Any]:
    """What GIMP knows of a procedure."""
    procedure = Gimp.get_pdb().lookup_procedure(procedure)
    config = procedure.create_config()
    names = ("style", "strength", "stroke-size", "full-resolution", "keep-colors", "size", "iterations")
    return {
        "help": procedure.get_help(),
        "arguments": {argument.name: argument.blurb for argument in procedure.get_arguments()},
        "returns": {value.name: value.blurb for value in procedure.get_return_values()},
        "menu_paths": procedure.get_menu_paths(),
        "menu_label": procedure.get_menu_label(),
        "image_types": procedure.get_image_types(),
        "defaults": {name: config.get_property(name) for name in names if config.find_property(name)},
    }


def new_image(
    pixels: np.ndarray,
    base: str = "RGB",
    precision: str = "U8_NON_LINEAR",
    alpha: bool = True,
    canvas: tuple[int, int] | None = None,
    offset: tuple[int, int] = (0, 0),
    in_group: bool = False,
    profile: str = "new_rgb_srgb",
    resolution: tuple[float, float] = (72.0, 72.0),
    display: bool = False,
) -> tuple[int, int]:
    """An image with one layer of these pixels ([H, W, 4], sRGB-encoded); the ids of both.

    ``profile`` is one of the functions of ``Gimp.ColorProfile``.
    """
    height, width = pixels.shape[:2]
    image = Gimp.Image.new_with_precision(
        *(canvas or (width, height)), getattr(Gimp.ImageBaseType, base), getattr(Gimp.Precision, precision)
    )
    if base == "RGB":
        image.set_color_profile(getattr(Gimp.ColorProfile, profile)())
    image.set_resolution(*resolution)
    kind = getattr(Gimp.ImageType, base + ("A" if alpha else "") + "_IMAGE")
    parent = None
    if in_group:
        parent = Gimp.GroupLayer.new(image, "group")
        image.insert_layer(parent, None, 0)
    layer = _insert(image, "photo", pixels, kind, parent)
    layer.set_offsets(*offset)
    image.set_selected_layers([layer])
    if display:
        # An image made by a script records no undo until told.
        image.undo_enable()
        Gimp.Display.new(image)
    return image.get_id(), layer.get_id()


def add_layer(image: int, pixels: np.ndarray, name: str) -> int:
    """One more layer with alpha, on top."""
    whole = Gimp.Image.get_by_id(image)
    grey = whole.get_base_type() == Gimp.ImageBaseType.GRAY
    return _insert(whole, name, pixels, Gimp.ImageType.GRAYA_IMAGE if grey else Gimp.ImageType.RGBA_IMAGE).get_id()


def add_text(image: int) -> int:
    """A text layer on top."""
    whole = Gimp.Image.get_by_id(image)
    layer = Gimp.TextLayer.new(whole, "Wave", Gimp.context_get_font(), 12, Gimp.Unit.pixel())
    whole.insert_layer(layer, None, 0)
    return layer.get_id()


def add_vector(image: int) -> int | None:
    """A vector layer on top, a filled triangle; None if this GIMP has none."""
    if not hasattr(Gimp, "VectorLayer"):
        return None
    whole = Gimp.Image.get_by_id(image)
    path = Gimp.Path.new(whole, "triangle")
    corners = [(2.0, 2.0), (30.0, 4.0), (10.0, 25.0)]
    # Of a Bézier curve, with both handles of a corner on it.
    points = [coordinate for corner in corners for coordinate in 3 * corner]
    path.stroke_new_from_points(Gimp.PathStrokeType.BEZIER, points, True)
    whole.insert_path(path, None, 0)
    layer = Gimp.VectorLayer.new(whole, path)
    whole.insert_layer(layer, None, 0)
    layer.refresh()
    return layer.get_id()


def add_link(image: int, path: str) -> int | None:
    """A layer on top that shows a picture file; None if this GIMP has none."""
    if not hasattr(Gimp, "LinkLayer"):
        return None
    whole = Gimp.Image.get_by_id(image)
    layer = Gimp.LinkLayer.new(whole, Gio.File.new_for_path(path))
    whole.insert_layer(layer, None, 0)
    return layer.get_id()


def add_mask(layer: int) -> int:
    """A white mask on the layer, selected."""
    item = Gimp.Item.get_by_id(layer)
    mask = item.create_mask(Gimp.AddMaskType.WHITE)
    item.add_mask(mask)
    return mask.get_id()


def lock(item: int) -> None:
    """Lock the pixels."""
    Gimp.Item.get_by_id(item).set_lock_content(True)


def add_inversion(layer: int) -> None:
    """A non-destructive effect that inverts the colours."""
    item = Gimp.Item.get_by_id(layer)
    item.append_filter(Gimp.DrawableFilter.new(item, "gegl:invert-gamma", "Invert"))


def add_huge_layer(image: int, side: int) -> int:
    """An empty layer of so many pixels a side."""
    whole = Gimp.Image.get_by_id(image)
    layer = Gimp.Layer.new(whole, "huge", side, side, Gimp.ImageType.RGBA_IMAGE, 100.0, Gimp.LayerMode.NORMAL)
    whole.insert_layer(layer, None, 0)
    return layer.get_id()


def make_indexed(image: int) -> None:
    """Reduce the image to sixteen colours."""
    Gimp.Image.get_by_id(image).convert_indexed(
        Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 16, False, False, ""
    )


def select(image: int, rectangle: tuple[int, int, int, int], feather: float = 0.0) -> None:
    """Select x, y, width, height in image coordinates."""
    whole = Gimp.Image.get_by_id(image)
    whole.select_rectangle(Gimp.ChannelOps.REPLACE, *rectangle)
    if feather:
        Gimp.Selection.feather(whole, feather)


def run(
    image: int, drawables: list[int], run_mode: str = "NONINTERACTIVE", procedure: str = PROCEDURE, **arguments: Any
) -> dict[str, Any]:
    """Call a procedure on layers, underscores in its arguments' names for hyphens: its status, message,
    seconds and layers.
    """
    called = Gimp.get_pdb().lookup_procedure(procedure)
    config = called.create_config()
    config.set_property("run-mode", getattr(Gimp.RunMode, run_mode))
    config.set_property("image", Gimp.Image.get_by_id(image))
    config.set_core_object_array("drawables", [Gimp.Item.get_by_id(drawable) for drawable in drawables])
    _set_arguments(config, arguments)
    began = time.perf_counter()
    result = called.run(config)
    seconds = time.perf_counter() - began
    status, message = result.index(0), Gimp.get_pdb().get_last_error()
    worked = status == Gimp.PDBStatusType.SUCCESS
    layers = [layer.get_id() for layer in result.get_core_object_array(1)] if worked else [None]
    answer = {"status": status.value_nick, "message": message, "seconds": seconds}
    return answer | {"layers": layers, "layer": layers[0]}


def stop_at(image: int, drawables: list[int], part: int, **arguments: Any) -> list[int]:
    """Paint as the filter does, and press Stop once this one of the layers develops: the layers that were painted."""
    engine = connect()
    import painting

    from plugin.engine.machine.stopwatch import Stopwatch

    class Watcher:
        stopped = cancelled = False
        layers = ()

        def look(self, progress: Any) -> None:
            self.stopped = self.stopped or (progress.part == part and progress.iteration > 0)

        def close(self) -> None:
            pass

    config = Gimp.get_pdb().lookup_procedure(PROCEDURE).create_config()
    _set_arguments(config, arguments)
    items = [Gimp.Item.get_by_id(drawable) for drawable in drawables]
    painted = painting.paint(engine, Gimp.Image.get_by_id(image), items, config, Stopwatch(), Watcher())
    return [layer.get_id() for layer in painted]


@functools.cache
def connect() -> Any:
    """Make the filter's modules importable here, and return its engine."""
    sys.path.insert(1, str(Path(Gimp.directory(), "plug-ins", "neural-style")))
    from engine_connection import EngineConnection

    return EngineConnection().connect()


def run_folder(**arguments: Any) -> dict[str, Any]:
    """Call the batch procedure: its status, message, and what it returns."""
    procedure = Gimp.get_pdb().lookup_procedure(PROCEDURE + "-folder")
    config = procedure.create_config()
    _set_arguments(config, arguments)
    result = procedure.run(config)
    status, message = result.index(0), Gimp.get_pdb().get_last_error()
    worked = status == Gimp.PDBStatusType.SUCCESS
    painted, skipped = (list(result.index(position)) for position in (1, 2)) if worked else (None, None)
    return {"status": status.value_nick, "message": message, "painted": painted, "skipped": skipped}


def do(item: int, method: str, arguments: list[Any]) -> None:
    """Call a method of an item."""
    getattr(Gimp.Item.get_by_id(item), method)(*arguments)


def remove(layer: int) -> None:
    """Remove a layer from its image."""
    item = Gimp.Item.get_by_id(layer)
    item.get_image().remove_layer(item)


def save_and_load(image: int, path: str) -> tuple[int, list[int]]:
    """The image as it comes back from an XCF file, and its layers."""
    file = Gio.File.new_for_path(path)
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, Gimp.Image.get_by_id(image), file, None)
    loaded = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    return loaded.get_id(), [layer.get_id() for layer in loaded.get_layers()]


def tell_once(sentence: str) -> None:
    """What the filter does with a sentence that the user should hear."""
    connect()
    import background

    background.tell_once([sentence])


def clipboard() -> str:
    """The text in the screen's clipboard."""
    gi.require_version("Gtk", "3.0")
    from gi.repository import Gdk, Gtk

    return Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD).wait_for_text()


def preview(
    layer: int, styles: list[str], stroke_size: float = 100.0, corner: tuple[int, int] | None = None
) -> list[dict[str, Any]]:
    """What the dialog's preview shows, one after another, when these styles are chosen at once, until it is at rest."""
    engine = connect()
    from gui.preview import Preview, open_layer

    from plugin.engine.fast.style_library import find_styles
    from plugin.engine.imaging.blend_settings import BlendSettings
    from plugin.engine.messages import PreviewRequest

    shown: list[dict[str, Any]] = []
    last = None

    def look() -> None:
        nonlocal last
        painting = preview.painting
        if painting and painting is not last:
            last = painting
            seconds = time.monotonic() - began
            data = engine.mix_preview(opened.opened.number, painting.trial.number, BlendSettings())
            rgb = np.frombuffer(data, np.uint8).reshape(opened.opened.height, opened.opened.width, 3)
            names = [style.name for style, _ in painting.wish.styles]
            rgb = rgb.astype(np.float32) / 255
            shown.append({"styles": names, "sketch": painting.sketch, "rgb": rgb, "seconds": seconds})

    opened = open_layer(engine, Gimp.Item.get_by_id(layer))
    preview = Preview(engine, opened, look)
    began = time.monotonic()
    for style in styles:
        preview.wish(PreviewRequest(tuple(find_styles(style).items()), stroke_size, corner))
    while preview.busy:
        GLib.MainContext.default().iteration(True)
    preview.close()
    if preview.trouble:
        raise RuntimeError(preview.trouble)
    return shown


def estimate(shape: tuple[int, int], sizes: list[int], features: str) -> list[tuple[float, str, str]]:
    """What the dialog tells of a render, when these sizes are typed at once: seconds, feature network, trouble."""
    engine = connect()
    from gui.estimator import Estimator

    from nst_core.base.iterative_settings import PLAIN_SETTINGS
    from nst_core.base.recipes import Recipe

    told: list[tuple[float, str, str]] = []

    def tell() -> None:
        found = estimator.estimate
        told.append((found.seconds, found.feature_network, "") if found else (0.0, "", estimator.trouble))

    estimator = Estimator(engine, [shape], tell)
    for size in sizes:
        estimator.wish(Recipe(replace(PLAIN_SETTINGS, size=size, iterations=10), features))
    while not told:
        GLib.MainContext.default().iteration(True)
    estimator.wish(Recipe(replace(PLAIN_SETTINGS, size=sizes[-1], iterations=10), features))
    estimator.close()
    while GLib.MainContext.default().iteration(False):
        pass
    return told


def raw(drawable: int) -> bytes:
    """The pixels to the bit, as GIMP keeps them."""
    item = Gimp.Item.get_by_id(drawable)
    return item.get_buffer().get(_whole(item), 1.0, Babl.get_name(item.get_format()), Gegl.AbyssPolicy.NONE)


def pixels(drawable: int, linear: bool = False) -> np.ndarray:
    """[H, W, 4], sRGB-encoded or in linear light."""
    item = Gimp.Item.get_by_id(drawable)
    data = item.get_buffer().get(_whole(item), 1.0, LINEAR if linear else ENCODED, Gegl.AbyssPolicy.NONE)
    return np.frombuffer(data, np.float32).reshape(item.get_height(), item.get_width(), 4).copy()


def selection(drawable: int) -> np.ndarray:
    """[H, W]: how much each pixel of the drawable is selected, 0..1."""
    item = Gimp.Item.get_by_id(drawable)
    _, x, y = item.get_offsets()
    rectangle = Gegl.Rectangle.new(x, y, item.get_width(), item.get_height())
    data = item.get_image().get_selection().get_buffer().get(rectangle, 1.0, "Y float", Gegl.AbyssPolicy.NONE)
    return np.frombuffer(data, np.float32).reshape(item.get_height(), item.get_width()).copy()


def layer_mask(layer: int) -> np.ndarray | None:
    """[H, W]: the layer's mask in 0..1, or None."""
    mask = Gimp.Item.get_by_id(layer).get_mask()
    if mask is None:
        return None
    data = mask.get_buffer().get(_whole(mask), 1.0, "Y float", Gegl.AbyssPolicy.NONE)
    return np.frombuffer(data, np.float32).reshape(mask.get_height(), mask.get_width()).copy()


def facts(layer: int) -> dict[str, Any]:
    """Where the layer is and what it is."""
    item = Gimp.Item.get_by_id(layer)
    parent = item.get_parent()
    return {
        "name": item.get_name(),
        "image": item.get_image().get_id(),
        "offset": tuple(item.get_offsets()[1:]),
        "size": (item.get_width(), item.get_height()),
        "parent": parent.get_id() if parent else None,
        "position": item.get_image().get_item_position(item),
        "opacity": item.get_opacity(),
        "edits_mask": item.get_mask() is not None and item.get_edit_mask(),
    }


def state(image: int) -> dict[str, Any]:
    """What the image is, its selected layers, and the names of the top layers, from the top."""
    whole = Gimp.Image.get_by_id(image)
    profile = whole.get_color_profile()
    return {
        "size": (whole.get_width(), whole.get_height()),
        "precision": whole.get_precision().value_nick,
        "profile": profile and profile.get_label(),
        "resolution": whole.get_resolution()[1:],
        "selected": [layer.get_id() for layer in whole.get_selected_layers()],
        "layers": [layer.get_name() for layer in whole.get_layers()],
    }


def kept_settings(layer: int) -> dict[str, Any]:
    """How the layer says that it was painted."""
    connect()
    import records

    return records.read(Gimp.Item.get_by_id(layer)).settings


def delete(image: int) -> None:
    """Forget an image that has no display."""
    Gimp.Image.get_by_id(image).delete()


def _set_arguments(config: Gimp.ProcedureConfig, arguments: dict[str, Any]) -> None:
    for name, value in arguments.items():
        if name in ("style_image", "folder", "output_folder"):
            value = Gio.File.new_for_path(value)
        config.set_property(name.replace("_", "-"), value)


def _insert(
    image: Gimp.Image, name: str, pixels: np.ndarray, kind: Gimp.ImageType, parent: Gimp.Layer | None = None
) -> Gimp.Layer:
    height, width = pixels.shape[:2]
    layer = Gimp.Layer.new(image, name, width, height, kind, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, parent, 0)
    buffer = layer.get_buffer()
    buffer.set(_whole(layer), ENCODED, np.ascontiguousarray(pixels, np.float32).tobytes())
    buffer.flush()
    return layer


def _whole(drawable: Gimp.Drawable) -> Gegl.Rectangle:
    return Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())
