"""A picture before and after, side by side at a line that the user can drag."""

from __future__ import annotations

from gi.repository import Gdk, GdkPixbuf, GLib, Gtk
from translation import _

from gui.pixbufs import fill_rectangle

KEY_STEP = 0.05


class SplitView(Gtk.EventBox):
    """Shows two pictures of the same size: the first to the left of a line, the second to the right of it.

    The line follows the mouse while a button is held, and the arrow keys, Home and End.

    Args:
        name: for screen readers.
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
        self.connect("button-press-event", self._on_mouse)
        self.connect("motion-notify-event", self._on_mouse)
        self.connect("key-press-event", self._on_key)
        self.connect("realize", self._set_cursor)
        for change in ("focus-in-event", "focus-out-event"):
            self.connect_after(change, lambda *_: self._redraw())

    def show_pictures(self, before: GdkPixbuf.Pixbuf, after: GdkPixbuf.Pixbuf | None) -> None:
        """Show these two pictures, or only the first if the second is None."""
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
            line = round(self._split * width)
            if line:
                self._before.copy_area(0, 0, line, height, shown, 0, 0)
            # A light line between dark ones stands out against any picture.
            half_width = 2 if self.has_focus() else 1
            fill_rectangle(shown, line - half_width - 1, 0, line + half_width + 1, height, grey=30)
            fill_rectangle(shown, line - half_width, 0, line + half_width, height, grey=240)
        self._image.set_from_pixbuf(shown)

    def _move_to(self, split: float) -> None:
        self._split = min(1.0, max(0.0, split))
        self._redraw()

    def _on_mouse(self, _: Gtk.Widget, event: Gdk.EventButton | Gdk.EventMotion) -> bool:
        self.grab_focus()
        self._move_to(event.x / max(1, self.get_allocated_width()))
        return Gdk.EVENT_STOP

    def _on_key(self, _: Gtk.Widget, event: Gdk.EventKey) -> bool:
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
    # "osd" has a dark background in every theme, so white text is readable in every theme.
    label.get_style_context().add_class("osd")
    label.set_markup(f'<span foreground="white">{GLib.markup_escape_text(text)}</span>')
    return label
