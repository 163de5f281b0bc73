"""A picture before and after, side by side at a line that can be dragged."""

from __future__ import annotations

from gi.repository import Gdk, GdkPixbuf, GLib, Gtk
from translation import _

KEY_STEP = 0.05


class SplitView(Gtk.EventBox):
    """Shows two pictures of one size at once: left of the line the first, right of it the second.

    The line follows the mouse while a button is held, and the arrow keys, Home and End.
    """

    def __init__(self, name: str) -> None:
        super().__init__(can_focus=True, halign=Gtk.Align.CENTER, valign=Gtk.Align.CENTER)
        self.get_accessible().set_name(name)
        self._split = 0.5
        self._before: GdkPixbuf.Pixbuf | None = None
        self._after: GdkPixbuf.Pixbuf | None = None
        self._image = Gtk.Image()
        self._captions = [_caption(_("Before"), Gtk.Align.START), _caption(_("After"), Gtk.Align.END)]
        overlay = Gtk.Overlay()
        overlay.add(self._image)
        for caption in self._captions:
            overlay.add_overlay(caption)
            overlay.set_overlay_pass_through(caption, True)
        self.add(overlay)
        self.show_all()
        self.add_events(Gdk.EventMask.BUTTON_PRESS_MASK | Gdk.EventMask.BUTTON1_MOTION_MASK)
        self.connect("button-press-event", self._drag)
        self.connect("motion-notify-event", self._drag)
        self.connect("key-press-event", self._key)
        self.connect("realize", self._set_cursor)
        for change in ("focus-in-event", "focus-out-event"):
            self.connect_after(change, lambda *_: self._redraw())

    def show_pictures(self, before: GdkPixbuf.Pixbuf, after: GdkPixbuf.Pixbuf | None) -> None:
        """Show these, or the first alone."""
        self._before, self._after = before, after
        for caption in self._captions:
            caption.set_visible(after is not None)
        self._redraw()

    def _redraw(self) -> None:
        if self._before is None:
            return
        shown = self._before
        if self._after is not None:
            shown = self._after.copy()
            width, height = shown.get_width(), shown.get_height()
            at = round(self._split * width)
            if at:
                self._before.copy_area(0, 0, at, height, shown, 0, 0)
            # A light line between dark ones stands out against anything.
            thick = 2 if self.has_focus() else 1
            paint_over(shown, at - thick - 1, 0, at + thick + 1, height, 30)
            paint_over(shown, at - thick, 0, at + thick, height, 240)
        self._image.set_from_pixbuf(shown)

    def _move_to(self, split: float) -> None:
        self._split = min(1.0, max(0.0, split))
        self._redraw()

    def _drag(self, _: Gtk.Widget, event: Gdk.EventButton | Gdk.EventMotion) -> bool:
        self.grab_focus()
        self._move_to(event.x / max(1, self.get_allocated_width()))
        return Gdk.EVENT_STOP

    def _key(self, _: Gtk.Widget, event: Gdk.EventKey) -> bool:
        targets = {
            Gdk.KEY_Left: self._split - KEY_STEP,
            Gdk.KEY_Right: self._split + KEY_STEP,
            Gdk.KEY_Home: 0.0,
            Gdk.KEY_End: 1.0,
        }
        if event.keyval not in targets or self._after is None:
            return Gdk.EVENT_PROPAGATE
        self._move_to(targets[event.keyval])
        return Gdk.EVENT_STOP

    def _set_cursor(self, _: Gtk.Widget) -> None:
        self.get_window().set_cursor(Gdk.Cursor.new_from_name(self.get_display(), "ew-resize"))


def _caption(text: str, side: Gtk.Align) -> Gtk.Label:
    label = Gtk.Label(halign=side, valign=Gtk.Align.END, margin=6, no_show_all=True)
    # Dark behind in every theme, and so white in every theme.
    label.get_style_context().add_class("osd")
    label.set_markup(f'<span foreground="white">{GLib.markup_escape_text(text)}</span>')
    return label


def pixbuf(rgb: bytes, width: int, height: int) -> GdkPixbuf.Pixbuf:
    """A picture to show of RGB in eight bits."""
    data = GLib.Bytes.new(rgb)
    return GdkPixbuf.Pixbuf.new_from_bytes(data, GdkPixbuf.Colorspace.RGB, False, 8, width, height, 3 * width)


def paint_over(picture: GdkPixbuf.Pixbuf, left: int, top: int, right: int, bottom: int, grey: int) -> None:
    """Fill a rectangle, as far as it lies within the picture."""
    left, top = max(0, left), max(0, top)
    width, height = min(right, picture.get_width()) - left, min(bottom, picture.get_height()) - top
    if width > 0 and height > 0:
        picture.new_subpixbuf(left, top, width, height).fill(int.from_bytes([grey, grey, grey, 255], "big"))
