"""Pixels between GIMP and the engine. Only for the main thread; needs the engine to be connected."""

from __future__ import annotations

import numpy as np
from gi.repository import Gegl, Gimp, Gio

from nst_core.errors import StyleError
from plugin.engine.picture import Picture

# babl converts from and to whatever precision, channels and colour space the image has.
FORMAT = "R'G'B'A float"


def read_drawable(drawable: Gimp.Drawable) -> Picture:
    """The whole drawable, its selection disregarded."""
    width, height = drawable.get_width(), drawable.get_height()
    data = drawable.get_buffer().get(Gegl.Rectangle.new(0, 0, width, height), 1.0, FORMAT, Gegl.AbyssPolicy.CLAMP)
    return Picture(np.frombuffer(data, np.float32).reshape(height, width, 4).copy())


def read_file(file: Gio.File) -> Picture:
    """What is visible in any picture file that GIMP opens. Raises StyleError if it opens none."""
    name = file.get_path() or file.get_uri()
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    if image is None:
        reason = Gimp.get_pdb().get_last_error()
        raise StyleError(f"GIMP cannot open the style picture {name} ({reason.rstrip('.')}); choose another one.")
    try:
        visible = Gimp.Layer.new_from_visible(image, image, "visible")
        image.insert_layer(visible, None, 0)
        return read_drawable(visible)
    finally:
        image.delete()


def write_in_place(layer: Gimp.Layer, pixels: np.ndarray) -> None:
    """Replace the selected pixels of ``layer``, undoably. Raises StyleError if GIMP refuses."""
    _set(layer.get_shadow_buffer(), pixels)
    # Merging, unlike writing, respects the selection and records the old pixels.
    if not layer.merge_shadow(True):
        reason = Gimp.get_pdb().get_last_error()
        raise StyleError(f"GIMP does not let the layer {layer.get_name()!r} be changed ({reason.rstrip('.')}).")
    layer.update(0, 0, layer.get_width(), layer.get_height())


def write_above(layer: Gimp.Layer, name: str, pixels: np.ndarray) -> Gimp.Layer:
    """A new layer over ``layer`` with these pixels, masked by the selection if there is one."""
    image = layer.get_image()
    width, height = layer.get_width(), layer.get_height()
    new = Gimp.Layer.new(image, name, width, height, layer.type_with_alpha(), 100.0, Gimp.LayerMode.NORMAL)
    _set(new.get_buffer(), pixels)
    image.insert_layer(new, layer.get_parent(), image.get_item_position(layer))
    _, x, y = layer.get_offsets()
    new.set_offsets(x, y)
    if not Gimp.Selection.is_empty(image):
        new.add_mask(new.create_mask(Gimp.AddMaskType.SELECTION))
        # GIMP makes the mask the thing to paint on; people expect the picture.
        new.set_edit_mask(False)
    new.update(0, 0, width, height)
    return new


def _set(buffer: Gegl.Buffer, pixels: np.ndarray) -> None:
    height, width = pixels.shape[:2]
    # GEGL takes bytes many times faster than any other buffer.
    buffer.set(Gegl.Rectangle.new(0, 0, width, height), FORMAT, np.ascontiguousarray(pixels, np.float32).tobytes())
    buffer.flush()
