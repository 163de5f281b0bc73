"""A widget that shows a picture pixel by pixel, in all the room that it gets."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import GdkPixbuf, GLib, Gtk


class Canvas(Gtk.Layout):
    """Shows a pixbuf at the resolution of the screen.

    GIMP does not always come with pycairo, without which Python cannot draw. An icon is shown at the resolution of the
    screen, even where there are several pixels to one of GTK's, and a layout asks for no room for its contents.

    Args:
        on_resize: called in the main loop after the size has changed.
    """

    def __init__(self, on_resize: Callable[[], None]) -> None:
        super().__init__()
        self._image = Gtk.Image()
        self.put(self._image, 0, 0)
        self._on_resize = on_resize
        self._shown_size = (0, 0)
        self._idle = 0
        self.connect("size-allocate", self._on_allocation)
        self.connect("notify::scale-factor", self._on_allocation)
        self.connect("destroy", self._on_destroy)
        self.show_all()

    @property
    def size(self) -> tuple[int, int]:
        """The width and height in the screen's pixels."""
        scale = self.get_scale_factor()
        return max(1, self.get_allocated_width() * scale), max(1, self.get_allocated_height() * scale)

    def new_picture(self) -> GdkPixbuf.Pixbuf:
        """Return a transparent pixbuf of this size, to draw into."""
        picture = GdkPixbuf.Pixbuf.new(GdkPixbuf.Colorspace.RGB, True, 8, *self.size)
        picture.fill(0)
        return picture

    def show_picture(self, picture: GdkPixbuf.Pixbuf) -> None:
        """Show a pixbuf."""
        self._image.set_from_gicon(picture, Gtk.IconSize.BUTTON)

    def _on_allocation(self, *_: object) -> None:
        # Not at once: a widget must not change while sizes are given out.
        if self._shown_size != self.size and not self._idle:
            self._idle = GLib.idle_add(self._tell, priority=GLib.PRIORITY_HIGH_IDLE)

    def _tell(self) -> bool:
        self._idle = 0
        self._shown_size = self.size
        self._on_resize()
        return GLib.SOURCE_REMOVE

    def _on_destroy(self, _: Gtk.Widget) -> None:
        if self._idle:
            GLib.source_remove(self._idle)
            self._idle = 0
