"""Reads what images and layers are, and their pixels."""

from __future__ import annotations

from typing import Any

import gi
import numpy as np

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from gi.repository import Babl, Gegl, Gimp

from in_gimp.images import ENCODED, LINEAR, whole_area


def raw_bytes(drawable: int) -> bytes:
    """Return the pixels exactly as GIMP keeps them."""
    item = Gimp.Item.get_by_id(drawable)
    return item.get_buffer().get(whole_area(item), 1.0, Babl.get_name(item.get_format()), Gegl.AbyssPolicy.NONE)


def pixels(drawable: int, linear: bool = False) -> np.ndarray:
    """Return the pixels as [H, W, 4], sRGB-encoded or in linear light."""
    item = Gimp.Item.get_by_id(drawable)
    data = item.get_buffer().get(whole_area(item), 1.0, LINEAR if linear else ENCODED, Gegl.AbyssPolicy.NONE)
    return np.frombuffer(data, np.float32).reshape(item.get_height(), item.get_width(), 4).copy()


def composite(image: int) -> np.ndarray:
    """Return what the canvas shows as [H, W, 4], sRGB-encoded."""
    whole = Gimp.Image.get_by_id(image)
    visible = Gimp.Layer.new_from_visible(whole, whole, "visible")
    data = visible.get_buffer().get(whole_area(visible), 1.0, ENCODED, Gegl.AbyssPolicy.NONE)
    pixels = np.frombuffer(data, np.float32).reshape(visible.get_height(), visible.get_width(), 4).copy()
    visible.delete()
    return pixels


def selection(drawable: int) -> np.ndarray:
    """Return how much each pixel of the drawable is selected, as [H, W] in 0..1."""
    item = Gimp.Item.get_by_id(drawable)
    _, x, y = item.get_offsets()
    area = Gegl.Rectangle.new(x, y, item.get_width(), item.get_height())
    data = item.get_image().get_selection().get_buffer().get(area, 1.0, "Y float", Gegl.AbyssPolicy.NONE)
    return np.frombuffer(data, np.float32).reshape(item.get_height(), item.get_width()).copy()


def layer_mask(layer: int) -> np.ndarray | None:
    """Return the layer's mask as [H, W] in 0..1, or None if it has none."""
    mask = Gimp.Item.get_by_id(layer).get_mask()
    if mask is None:
        return None
    data = mask.get_buffer().get(whole_area(mask), 1.0, "Y float", Gegl.AbyssPolicy.NONE)
    return np.frombuffer(data, np.float32).reshape(mask.get_height(), mask.get_width()).copy()


def describe_layer(layer: int) -> dict[str, Any]:
    """Return the layer's place and properties."""
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
        "mode": item.get_mode().value_nick,
        "has_mask": item.get_mask() is not None,
        "edits_mask": item.get_mask() is not None and item.get_edit_mask(),
    }


def describe_image(image: int) -> dict[str, Any]:
    """Return the image's properties, its selected layers, and the names of its outermost layers, the top one first."""
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


def clipboard() -> str:
    """Return the text in the screen's clipboard."""
    gi.require_version("Gtk", "3.0")
    from gi.repository import Gdk, Gtk

    return Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD).wait_for_text()
