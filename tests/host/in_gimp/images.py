"""Makes and changes images and layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gi
import numpy as np

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from gi.repository import Gegl, Gimp, Gio

ENCODED, LINEAR = "R'G'B'A float", "RGBA float"


@dataclass(frozen=True)
class ImageOptions:
    """The kind of an image and of its layer.

    Attributes:
        base: a member of Gimp.ImageBaseType.
        precision: a member of Gimp.Precision.
        alpha: whether the layer has an alpha channel.
        canvas: width and height of the image; by default those of the layer.
        offset: where the layer lies.
        in_group: whether the layer is in a group.
        profile: a function of Gimp.ColorProfile.
        resolution: pixels per inch, across and down.
        display: whether GIMP shows the image.
    """

    base: str = "RGB"
    precision: str = "U8_NON_LINEAR"
    alpha: bool = True
    canvas: tuple[int, int] | None = None
    offset: tuple[int, int] = (0, 0)
    in_group: bool = False
    profile: str = "new_rgb_srgb"
    resolution: tuple[float, float] = (72.0, 72.0)
    display: bool = False


def new_image(pixels: np.ndarray, **options: Any) -> tuple[int, int]:
    """Make an image with one layer of these pixels ([H, W, 4], sRGB-encoded). Return the ids of both.

    ``options`` are the fields of ImageOptions.
    """
    kind = ImageOptions(**options)
    height, width = pixels.shape[:2]
    base, precision = getattr(Gimp.ImageBaseType, kind.base), getattr(Gimp.Precision, kind.precision)
    image = Gimp.Image.new_with_precision(*(kind.canvas or (width, height)), base, precision)
    if kind.base == "RGB":
        image.set_color_profile(getattr(Gimp.ColorProfile, kind.profile)())
    image.set_resolution(*kind.resolution)
    parent = None
    if kind.in_group:
        parent = Gimp.GroupLayer.new(image, "group")
        image.insert_layer(parent, None, 0)
    layer_type = getattr(Gimp.ImageType, kind.base + ("A" if kind.alpha else "") + "_IMAGE")
    layer = _insert_layer(image, "photo", pixels, layer_type, parent)
    layer.set_offsets(*kind.offset)
    image.set_selected_layers([layer])
    if kind.display:
        # An image made by a script records no undo until it is enabled.
        image.undo_enable()
        Gimp.Display.new(image)
    return image.get_id(), layer.get_id()


def add_layer(image: int, pixels: np.ndarray, name: str) -> int:
    """Add a layer with alpha on top."""
    target = Gimp.Image.get_by_id(image)
    grey = target.get_base_type() == Gimp.ImageBaseType.GRAY
    layer_type = Gimp.ImageType.GRAYA_IMAGE if grey else Gimp.ImageType.RGBA_IMAGE
    return _insert_layer(target, name, pixels, layer_type).get_id()


def add_text(image: int) -> int:
    """Add a text layer on top."""
    target = Gimp.Image.get_by_id(image)
    layer = Gimp.TextLayer.new(target, "Wave", Gimp.context_get_font(), 12, Gimp.Unit.pixel())
    target.insert_layer(layer, None, 0)
    return layer.get_id()


def add_vector(image: int) -> int | None:
    """Add a vector layer with a filled triangle on top. Return None if this GIMP has no vector layers."""
    if not hasattr(Gimp, "VectorLayer"):
        return None
    target = Gimp.Image.get_by_id(image)
    path = Gimp.Path.new(target, "triangle")
    corners = [(2.0, 2.0), (30.0, 4.0), (10.0, 25.0)]
    # Points of a Bézier curve: both handles of a corner lie on it.
    points = [coordinate for corner in corners for coordinate in 3 * corner]
    path.stroke_new_from_points(Gimp.PathStrokeType.BEZIER, points, True)
    target.insert_path(path, None, 0)
    layer = Gimp.VectorLayer.new(target, path)
    target.insert_layer(layer, None, 0)
    layer.refresh()
    return layer.get_id()


def add_link(image: int, path: str) -> int | None:
    """Add a layer on top that shows a picture file. Return None if this GIMP has no link layers."""
    if not hasattr(Gimp, "LinkLayer"):
        return None
    target = Gimp.Image.get_by_id(image)
    layer = Gimp.LinkLayer.new(target, Gio.File.new_for_path(path))
    target.insert_layer(layer, None, 0)
    return layer.get_id()


def add_mask(layer: int) -> int:
    """Add a white mask to the layer, selected."""
    item = Gimp.Item.get_by_id(layer)
    mask = item.create_mask(Gimp.AddMaskType.WHITE)
    item.add_mask(mask)
    return mask.get_id()


def set_mask(layer: int, values: np.ndarray) -> None:
    """Give the layer a mask with these values: [H, W] in 0..1."""
    item = Gimp.Item.get_by_id(layer)
    mask = item.create_mask(Gimp.AddMaskType.BLACK)
    mask.get_buffer().set(whole_area(mask), "Y float", np.ascontiguousarray(values, np.float32).tobytes())
    mask.get_buffer().flush()
    item.add_mask(mask)
    item.set_edit_mask(False)


def add_channel(image: int, name: str, values: np.ndarray) -> int:
    """Add a channel with these values: [H, W] in 0..1."""
    target = Gimp.Image.get_by_id(image)
    channel = Gimp.Channel.new(target, name, target.get_width(), target.get_height(), 50.0, Gegl.Color.new("black"))
    target.insert_channel(channel, None, 0)
    channel.get_buffer().set(whole_area(channel), "Y float", np.ascontiguousarray(values, np.float32).tobytes())
    channel.get_buffer().flush()
    return channel.get_id()


def selected_pixels(image: int) -> np.ndarray:
    """Return how much of each pixel of the image is selected: [H, W] in 0..1."""
    target = Gimp.Image.get_by_id(image)
    buffer, area = (
        target.get_selection().get_buffer(),
        Gegl.Rectangle.new(0, 0, target.get_width(), target.get_height()),
    )
    values = np.frombuffer(buffer.get(area, 1.0, "Y float", Gegl.AbyssPolicy.NONE), np.float32)
    return values.reshape(target.get_height(), target.get_width()).copy()


def set_mode(layer: int, mode: str, opacity: float) -> None:
    """Set a member of Gimp.LayerMode and the opacity in percent."""
    item = Gimp.Item.get_by_id(layer)
    item.set_mode(getattr(Gimp.LayerMode, mode))
    item.set_opacity(opacity)


def duplicate(layer: int, pixels: np.ndarray) -> int:
    """Duplicate the layer as GIMP does, above it, with other pixels: [H, W, 4], sRGB-encoded."""
    item = Gimp.Item.get_by_id(layer)
    image, copy = item.get_image(), item.copy()
    image.insert_layer(copy, item.get_parent(), image.get_item_position(item))
    copy.get_buffer().set(whole_area(copy), ENCODED, np.ascontiguousarray(pixels, np.float32).tobytes())
    copy.get_buffer().flush()
    copy.update(0, 0, copy.get_width(), copy.get_height())
    return copy.get_id()


def add_inversion(layer: int) -> None:
    """Add a non-destructive effect that inverts the colours."""
    item = Gimp.Item.get_by_id(layer)
    item.append_filter(Gimp.DrawableFilter.new(item, "gegl:invert-gamma", "Invert"))


def float_selection(layer: int) -> int:
    """Cut the selected part of a layer out, and return the floating selection."""
    item = Gimp.Item.get_by_id(layer)
    return Gimp.Selection.float(item.get_image(), [item], 0, 0).get_id()


def add_empty_group(image: int) -> int:
    """Add a group on top that holds nothing but another empty group."""
    target = Gimp.Image.get_by_id(image)
    outer = Gimp.GroupLayer.new(target, "empty group")
    target.insert_layer(outer, None, 0)
    target.insert_layer(Gimp.GroupLayer.new(target, "inner"), outer, 0)
    return outer.get_id()


def duplicate_image(image: int) -> tuple[int, list[int]]:
    """Duplicate an image. Return the duplicate and its layers."""
    duplicate = Gimp.Image.get_by_id(image).duplicate()
    return duplicate.get_id(), [layer.get_id() for layer in duplicate.get_layers()]


def add_huge_layer(image: int, side: int) -> int:
    """Add an empty square layer."""
    target = Gimp.Image.get_by_id(image)
    layer = Gimp.Layer.new(target, "huge", side, side, Gimp.ImageType.RGBA_IMAGE, 100.0, Gimp.LayerMode.NORMAL)
    target.insert_layer(layer, None, 0)
    return layer.get_id()


def lock(item: int) -> None:
    """Lock the pixels."""
    Gimp.Item.get_by_id(item).set_lock_content(True)


def make_indexed(image: int) -> None:
    """Reduce the image to sixteen colours."""
    Gimp.Image.get_by_id(image).convert_indexed(
        Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 16, False, False, ""
    )


def select_layers(image: int, layers: list[int]) -> None:
    """Select layers of the image."""
    Gimp.Image.get_by_id(image).set_selected_layers([Gimp.Item.get_by_id(layer) for layer in layers])


def invert_selection(image: int) -> None:
    """Select what is not selected."""
    Gimp.Selection.invert(Gimp.Image.get_by_id(image))


def select_nothing(image: int) -> None:
    """Remove the selection."""
    Gimp.Selection.none(Gimp.Image.get_by_id(image))


def select(image: int, rectangle: tuple[int, int, int, int], feather: float = 0.0) -> None:
    """Select a rectangle: x, y, width and height in the image."""
    target = Gimp.Image.get_by_id(image)
    target.select_rectangle(Gimp.ChannelOps.REPLACE, *rectangle)
    if feather:
        Gimp.Selection.feather(target, feather)


def call_method(item: int, method: str, arguments: list[Any]) -> None:
    """Call a method of an item."""
    getattr(Gimp.Item.get_by_id(item), method)(*arguments)


def lower(layer: int, positions: int) -> None:
    """Move a layer down in its group or image."""
    item = Gimp.Item.get_by_id(layer)
    image = item.get_image()
    image.reorder_item(item, item.get_parent(), image.get_item_position(item) + positions)


def remove(layer: int) -> None:
    """Remove a layer from its image."""
    item = Gimp.Item.get_by_id(layer)
    item.get_image().remove_layer(item)


def delete(image: int) -> None:
    """Delete an image that has no display."""
    Gimp.Image.get_by_id(image).delete()


def save_and_load(image: int, path: str) -> tuple[int, list[int]]:
    """Save the image as an XCF file and load it. Return the loaded image and its layers."""
    file = Gio.File.new_for_path(path)
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, Gimp.Image.get_by_id(image), file, None)
    loaded = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    return loaded.get_id(), [layer.get_id() for layer in loaded.get_layers()]


def whole_area(drawable: Gimp.Drawable) -> Gegl.Rectangle:
    """Return the area of the whole drawable."""
    return Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())


def _insert_layer(
    image: Gimp.Image, name: str, pixels: np.ndarray, layer_type: Gimp.ImageType, parent: Gimp.Layer | None = None
) -> Gimp.Layer:
    height, width = pixels.shape[:2]
    layer = Gimp.Layer.new(image, name, width, height, layer_type, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, parent, 0)
    buffer = layer.get_buffer()
    buffer.set(whole_area(layer), ENCODED, np.ascontiguousarray(pixels, np.float32).tobytes())
    buffer.flush()
    return layer
