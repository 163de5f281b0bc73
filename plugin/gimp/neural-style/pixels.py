"""Move pixels between GIMP and the engine. For the main thread only; needs the engine to be connected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import image_files
from gi.repository import Babl, Gegl, Gimp, Gio
from translation import _

from nst_core.base.errors import StyleError
from plugin.engine.messages import RawPicture

# babl converts from and to the precision, the channels and the colour space of the image.
ALPHA_FORMAT, OPAQUE_FORMAT, SELECTION_FORMAT, OPACITY_FORMAT = "R'G'B'A", "R'G'B'", "Y", "A"
BUFFER_PIXELS = 2**18


def unique_layers(drawables: Iterable[Gimp.Drawable]) -> list[Gimp.Layer]:
    """Return the layers among the drawables and the layers of the masks among them, each once."""
    # A layer and its mask can both be selected.
    layers = (Gimp.Layer.from_mask(drawable) if drawable.is_layer_mask() else drawable for drawable in drawables)
    return list({layer.get_id(): layer for layer in layers}.values())


def read_layer(layer: Gimp.Layer, with_selection: bool = False, eight_bits: bool = False) -> RawPicture:
    """Read the whole layer with its effects and, ``with_selection``, how much of each pixel is selected.

    The values have eight bits if ``eight_bits`` is set or the image has no more, else they are floats.
    """
    image = layer.get_image()
    eight_bits = eight_bits or _has_eight_bits(image)
    mask = read_selection(layer, eight_bits) if with_selection else None
    if not layer.is_layer() or not layer.get_filters():
        return _read(layer, mask, eight_bits)
    copy = layer.copy()
    try:
        copy.merge_filters()
        return _read(copy, mask, eight_bits)
    finally:
        copy.delete()


def read_selection(layer: Gimp.Layer, eight_bits: bool = True) -> bytes | None:
    """Read how much of each of the layer's pixels is selected, or return None if there is no selection.

    The values have eight bits or are floats.
    """
    image = layer.get_image()
    if Gimp.Selection.is_empty(image):
        return None
    x, y = layer.get_offsets()[1:]
    area = Gegl.Rectangle.new(x, y, layer.get_width(), layer.get_height())
    return _get(image.get_selection().get_buffer(), area, SELECTION_FORMAT, eight_bits)


def read_values(mask: Gimp.Drawable, layer: Gimp.Layer) -> bytes:
    """Read a channel or a layer mask where ``layer`` lies: one byte for each of the layer's pixels."""
    x, y = layer.get_offsets()[1:]
    if mask.is_layer_mask():
        x = y = 0  # it lies where its layer does
    area = Gegl.Rectangle.new(x, y, layer.get_width(), layer.get_height())
    return _get(mask.get_buffer(), area, SELECTION_FORMAT, True)


def read_alpha(layer: Gimp.Layer) -> bytes:
    """Read how opaque each of the layer's pixels is: one byte each."""
    area = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    return _get(layer.get_buffer(), area, OPACITY_FORMAT, True)


@contextmanager
def selection_set_aside(image: Gimp.Image) -> Iterator[None]:
    """Have nothing selected during the block, which is part of an undo group."""
    if Gimp.Selection.is_empty(image):
        yield
        return
    channel = Gimp.Selection.save(image)
    Gimp.Selection.none(image)
    try:
        yield
    finally:
        image.select_item(Gimp.ChannelOps.REPLACE, channel)
        image.remove_channel(channel)


def _has_eight_bits(image: Gimp.Image) -> bool:
    """Return whether eight bits of sRGB hold the image's pixels exactly."""
    kind = image.get_base_type(), image.get_precision()
    return kind == (Gimp.ImageBaseType.RGB, Gimp.Precision.U8_NON_LINEAR) and image.get_color_profile() is None


def _read(drawable: Gimp.Drawable, mask: bytes | None = None, eight_bits: bool = False) -> RawPicture:
    width, height = drawable.get_width(), drawable.get_height()
    # babl takes three times as long to find the conversion that adds alpha as to find the one that does not.
    channels, names = (4, ALPHA_FORMAT) if drawable.has_alpha() else (3, OPAQUE_FORMAT)
    data = _get(drawable.get_buffer(), Gegl.Rectangle.new(0, 0, width, height), names, eight_bits)
    return RawPicture(width, height, channels, data, mask, eight_bits)


def _get(buffer: Gegl.Buffer, area: Gegl.Rectangle, channels: str, eight_bits: bool) -> bytes:
    """Return the buffer's values in an area, which are zero outside the buffer."""
    pixel_format = _format(channels, eight_bits)
    return b"".join(buffer.get(band, 1.0, pixel_format, Gegl.AbyssPolicy.NONE) for band in _bands(area))


def read_file(file: Gio.File, pixel_count: int | None = None) -> RawPicture:
    """Read what is visible in a picture file, upright; if it has more than ``pixel_count`` pixels, reduced to that.

    Raises StyleError if GIMP cannot open it.
    """
    image = image_files.open_image(file)
    try:
        width, height = image.get_width(), image.get_height()
        if pixel_count and width * height > pixel_count:
            scale = (pixel_count / (width * height)) ** 0.5
            image.scale(max(1, round(scale * width)), max(1, round(scale * height)))
        visible = Gimp.Layer.new_from_visible(image, image, "visible")
        image.insert_layer(visible, None, 0)
        return _read(visible)
    finally:
        image.delete()


def write_new_image(layers: Sequence[Gimp.Layer], name: str, paintings: Sequence[RawPicture]) -> list[Gimp.Layer]:
    """Create an image with the paintings of ``layers``, and return its layers in the order of ``layers``.

    The image is just large enough for them and has the precision, the profile and the resolution of the old one; its
    layers are stacked as the old ones are, with their masks, modes and opacities. The lowest has the normal mode and is
    opaque, because nothing lies below it.
    """
    image = layers[0].get_image()
    new_image = Gimp.Image.new_with_precision(
        image.get_width(), image.get_height(), image.get_base_type(), image.get_precision()
    )
    profile = image.get_color_profile()
    if profile is not None:
        new_image.set_color_profile(profile)
    x_resolution, y_resolution = image.get_resolution()[1:]
    new_image.set_resolution(x_resolution, y_resolution)
    new_image.set_unit(image.get_unit())
    new_layers = [
        _new_layer(layer, new_image, name, painting) for layer, painting in zip(layers, paintings, strict=True)
    ]
    bottom_up = sorted(zip(layers, new_layers, strict=True), key=lambda pair: position(pair[0]), reverse=True)
    for number, (layer, new) in enumerate(bottom_up):
        new_image.insert_layer(new, None, 0)
        new.set_offsets(*layer.get_offsets()[1:])
        if number:
            _copy_mode(layer, new)
        _add_mask(layer, new)
    new_image.resize_to_layers()
    new_image.set_selected_layers(new_layers)
    new_image.undo_enable()
    return new_layers


def position(item: Gimp.Item) -> list[int]:
    """Return the positions of the groups that hold the item, the outermost first, and its own; 0 is the top."""
    parent = item.get_parent()
    return [*(position(parent) if parent else []), item.get_image().get_item_position(item)]


def write_in_place(layer: Gimp.Layer, source: Gimp.Layer, painting: RawPicture) -> None:
    """Replace the selected pixels of ``layer`` with a painting of ``source``, where that lies; this can be undone.

    Raises StyleError if GIMP refuses.
    """
    shadow = layer.get_shadow_buffer()
    x, y = layer.get_offsets()[1:]
    source_x, source_y = source.get_offsets()[1:]
    if (x, y, layer.get_width(), layer.get_height()) != (source_x, source_y, painting.width, painting.height):
        _copy(layer.get_buffer(), shadow, Babl.get_name(layer.get_format()))
    _set(shadow, painting, source_x - x, source_y - y)
    # Merging, unlike writing, respects the selection and records the old pixels for undo.
    if not layer.merge_shadow(True):
        raise StyleError(
            _("GIMP does not allow changes to the layer {layer!r} ({reason}).").format(
                layer=layer.get_name(), reason=image_files.last_error()
            )
        )
    layer.update(0, 0, layer.get_width(), layer.get_height())


def write_above(layer: Gimp.Layer, source: Gimp.Layer, name: str, painting: RawPicture) -> Gimp.Layer:
    """Insert a painting of ``source`` as a new layer above ``layer``.

    It has the mode, the opacity and the mask of ``source``; of the mask, only what is selected, if there is a
    selection.
    """
    image = layer.get_image()
    new = _new_layer(source, image, name, painting)
    image.insert_layer(new, layer.get_parent(), image.get_item_position(layer))
    x, y = source.get_offsets()[1:]
    new.set_offsets(x, y)
    _copy_mode(source, new)
    _add_mask(source, new)
    new.update(0, 0, new.get_width(), new.get_height())
    return new


def _copy_mode(layer: Gimp.Layer, new: Gimp.Layer) -> None:
    """Give ``new`` the opacity of ``layer``, and its mode unless only a group can have that."""
    new.set_opacity(layer.get_opacity())
    if layer.get_mode() != Gimp.LayerMode.PASS_THROUGH:
        new.set_mode(layer.get_mode())  # before the spaces, which it sets to the mode's defaults
        new.set_blend_space(layer.get_blend_space())
        new.set_composite_space(layer.get_composite_space())
        new.set_composite_mode(layer.get_composite_mode())


def _add_mask(layer: Gimp.Layer, new: Gimp.Layer) -> None:
    """Give ``new``, which lies where ``layer`` does, the selected part of that layer's mask, or as much as there is."""
    old, selected = layer.get_mask(), not Gimp.Selection.is_empty(new.get_image())
    if old is None or (selected and not layer.get_apply_mask()):
        if not selected:
            return
        new.add_mask(new.create_mask(Gimp.AddMaskType.SELECTION))
    else:
        mask = new.create_mask(Gimp.AddMaskType.BLACK)
        new.add_mask(mask)
        if selected:
            # Merging writes as much of each pixel as is selected.
            _copy(old.get_buffer(), mask.get_shadow_buffer(), Babl.get_name(old.get_format()))
            mask.merge_shadow(True)
        else:
            _copy(old.get_buffer(), mask.get_buffer(), Babl.get_name(old.get_format()))
            new.set_apply_mask(layer.get_apply_mask())
        mask.update(0, 0, mask.get_width(), mask.get_height())
    # GIMP would paint on the mask next, where people expect to paint on the picture.
    new.set_edit_mask(False)


def write_copy(layer: Gimp.Layer, source: Gimp.Layer, painting: RawPicture, replace: bool) -> Gimp.Layer:
    """Insert a copy of the painted layer ``layer`` with a new painting of ``source``.

    The copy takes the place of ``layer`` if ``replace`` is set, else it lies above it.
    """
    image = layer.get_image()
    # A copy, because writing into the layer itself would respect the selection.
    new = layer.copy()
    image.insert_layer(new, layer.get_parent(), image.get_item_position(layer))
    x, y = source.get_offsets()[1:]
    old_x, old_y = new.get_offsets()[1:]
    width, height = source.get_width(), source.get_height()
    if (new.get_width(), new.get_height(), old_x, old_y) != (width, height, x, y):
        new.resize(width, height, old_x - x, old_y - y)
    _set(new.get_buffer(), painting)
    new.update(0, 0, width, height)
    if replace:
        tattoo = layer.get_tattoo()
        image.remove_layer(layer)
        # Another layer may have been painted from this one.
        new.set_tattoo(tattoo)
    return new


def _new_layer(layer: Gimp.Layer, image: Gimp.Image, name: str, painting: RawPicture) -> Gimp.Layer:
    """Create a layer for ``image`` that is like ``layer``, with alpha and with this painting."""
    new = Gimp.Layer.new(
        image, name, painting.width, painting.height, layer.type_with_alpha(), 100.0, Gimp.LayerMode.NORMAL
    )
    _set(new.get_buffer(), painting)
    return new


def _copy(buffer: Gegl.Buffer, other: Gegl.Buffer, pixel_format: str) -> None:
    """Copy a whole buffer into another one, in a format that keeps its values."""
    extent = buffer.get_extent()
    for band in _bands(Gegl.Rectangle.new(extent.x, extent.y, extent.width, extent.height)):
        other.set(band, pixel_format, buffer.get(band, 1.0, pixel_format, Gegl.AbyssPolicy.NONE))
    other.flush()


def _set(buffer: Gegl.Buffer, painting: RawPicture, left: int = 0, top: int = 0) -> None:
    """Write the part of the painting that fits into a buffer, with the painting's corner at ``left`` and ``top``."""
    pixel_format, rows, start = _format(ALPHA_FORMAT, painting.eight_bits), memoryview(painting.data), 0
    row_bytes = len(rows) // painting.height
    for band in _bands(Gegl.Rectangle.new(left, top, painting.width, painting.height)):
        end = start + band.height * row_bytes
        # GEGL takes bytes many times faster than any other buffer.
        buffer.set(band, pixel_format, bytes(rows[start:end]))
        start = end
    buffer.flush()


def _format(channels: str, eight_bits: bool) -> str:
    return f"{channels} {'u8' if eight_bits else 'float'}"


def _bands(area: Gegl.Rectangle) -> Iterator[Gegl.Rectangle]:
    """Yield bands of rows that together cover the area: GEGL counts a buffer's bytes in 32 bits, and crashes beyond."""
    rows = max(1, BUFFER_PIXELS // area.width)
    for y in range(0, area.height, rows):
        yield Gegl.Rectangle.new(area.x, area.y + y, area.width, min(rows, area.height - y))
