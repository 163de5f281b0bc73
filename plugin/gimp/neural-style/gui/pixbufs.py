"""Pictures to show on the screen."""

from __future__ import annotations

from gi.repository import GdkPixbuf, GLib


def pixbuf_from_rgb(rgb: bytes, width: int, height: int) -> GdkPixbuf.Pixbuf:
    """Return a pixbuf of eight-bit RGB, given row by row."""
    data = GLib.Bytes.new(rgb)
    return GdkPixbuf.Pixbuf.new_from_bytes(data, GdkPixbuf.Colorspace.RGB, False, 8, width, height, 3 * width)


def fill_rectangle(picture: GdkPixbuf.Pixbuf, left: int, top: int, right: int, bottom: int, *, grey: int) -> None:
    """Fill the part of a rectangle that lies within the picture with a grey from 0 to 255."""
    left, top = max(0, left), max(0, top)
    width, height = min(right, picture.get_width()) - left, min(bottom, picture.get_height()) - top
    if width > 0 and height > 0:
        picture.new_subpixbuf(left, top, width, height).fill(int.from_bytes([grey, grey, grey, 255], "big"))
