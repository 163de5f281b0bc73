"""Pixels between GIMP and the engine. Only for the main thread; needs the engine to be connected."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from gi.repository import Gegl, Gimp, Gio

from nst_core.errors import StyleError
from plugin.engine.picture import Picture

# babl converts from and to whatever precision, channels and colour space the image has.
FORMAT = "R'G'B'A float"
BAND_PIXELS = 2**22


def read_layer(layer: Gimp.Layer) -> Picture:
    """The whole layer as it is seen, with its effects, its selection disregarded."""
    if not layer.get_filters():
        return _read(layer)
    copy = layer.copy()
    try:
        copy.merge_filters()
        return _read(copy)
    finally:
        copy.delete()


def _read(drawable: Gimp.Drawable) -> Picture:
    width, height = drawable.get_width(), drawable.get_height()
    pixels = np.empty((height, width, 4), np.float32)
    buffer = drawable.get_buffer()
    for band in _bands(width, height):
        data = buffer.get(band, 1.0, FORMAT, Gegl.AbyssPolicy.CLAMP)
        pixels[band.y : band.y + band.height] = np.frombuffer(data, np.float32).reshape(band.height, width, 4)
    return Picture(pixels)


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
        return _read(visible)
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
    for band in _bands(width, height):
        # GEGL takes bytes many times faster than any other buffer.
        rows = np.ascontiguousarray(pixels[band.y : band.y + band.height], np.float32)
        buffer.set(band, FORMAT, rows.tobytes())
    buffer.flush()


def _bands(width: int, height: int) -> Iterator[Gegl.Rectangle]:
    """Rows that together make the picture: GEGL counts a buffer's bytes in 32 bits, and crashes beyond."""
    rows = max(1, BAND_PIXELS // width)
    for y in range(0, height, rows):
        yield Gegl.Rectangle.new(0, y, width, min(rows, height - y))
