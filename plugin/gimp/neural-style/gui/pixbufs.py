"""Pictures to show on the screen."""

from __future__ import annotations

from gi.repository import GdkPixbuf, Gio, GLib

# To read a larger picture takes too long and too much memory, unless its format can be reduced while it is read.
MOST_SHOWN_PIXELS = 50_000_000
Rectangle = tuple[int, int, int, int]  # left, top, right, bottom


def pixbuf_from_rgb(rgb: bytes, width: int, height: int) -> GdkPixbuf.Pixbuf:
    """Return a pixbuf of eight-bit RGB, given row by row."""
    data = GLib.Bytes.new(rgb)
    return GdkPixbuf.Pixbuf.new_from_bytes(data, GdkPixbuf.Colorspace.RGB, False, 8, width, height, 3 * width)


def fill_rectangle(picture: GdkPixbuf.Pixbuf, rectangle: Rectangle, grey: int) -> None:
    """Fill the part of a rectangle that lies within the picture with a grey from 0 to 255."""
    left, top, right, bottom = intersection(rectangle, (0, 0, picture.get_width(), picture.get_height()))
    if left < right and top < bottom:
        part = picture.new_subpixbuf(left, top, right - left, bottom - top)
        part.fill(int.from_bytes([grey, grey, grey, 255], "big"))


def draw_scaled(
    source: GdkPixbuf.Pixbuf, picture: GdkPixbuf.Pixbuf, rectangle: Rectangle, clip: Rectangle, *, smooth: bool
) -> None:
    """Draw ``source`` so that it fills a rectangle, as far as that lies within ``clip``, into ``picture``."""
    left, top, right, bottom = intersection(rectangle, clip)
    if left >= right or top >= bottom:
        return
    x, y = rectangle[:2]
    width, height = rectangle[2] - x, rectangle[3] - y
    if (width, height) == (source.get_width(), source.get_height()):
        source.copy_area(left - x, top - y, right - left, bottom - top, picture, left, top)
        return
    kind = GdkPixbuf.InterpType.BILINEAR if smooth else GdkPixbuf.InterpType.NEAREST
    scales = width / source.get_width(), height / source.get_height()
    source.scale(picture, left, top, right - left, bottom - top, x, y, *scales, kind)


def intersection(one: Rectangle, other: Rectangle) -> Rectangle:
    """Return where two rectangles overlap; it is empty if its right is not beyond its left."""
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def read_small_picture(file: Gio.File | None, width: int, height: int) -> GdkPixbuf.Pixbuf | None:
    """Return a picture file, upright and within a width and height; None for a file that cannot be shown."""
    if file is None or not file.get_path():
        return None
    kind, full_width, full_height = GdkPixbuf.Pixbuf.get_file_info(file.get_path())
    if kind is None or (full_width * full_height > MOST_SHOWN_PIXELS and kind.get_name() != "jpeg"):
        return None
    try:
        pixbuf = GdkPixbuf.Pixbuf.new_from_file_at_scale(file.get_path(), width, height, True)
    except GLib.Error:  # GIMP opens more kinds of pictures than this does
        return None
    return pixbuf.apply_embedded_orientation()
