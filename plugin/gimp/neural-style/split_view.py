"""A picture before and after, side by side at a line that can be dragged."""

from __future__ import annotations

import numpy as np
from gi.repository import Gdk, GdkPixbuf, GLib, Gtk
from language import _

CHECK_SIZE, CHECKS = 8, (0.6, 0.4)
KEY_STEP = 0.05


class SplitView(Gtk.EventBox):
    """Shows two pictures of one size at once: left of the line the first, right of it the second.

    The line follows the mouse while a button is held, and the arrow keys, Home and End.
    """

    def __init__(self, name: str) -> None:
        super().__init__(can_focus=True, halign=Gtk.Align.CENTER, valign=Gtk.Align.CENTER)
        self.get_accessible().set_name(name)
        self._split = 0.5
        self._before: np.ndarray | None = None
        self._after: np.ndarray | None = None
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

    def show_pictures(self, before: np.ndarray, after: np.ndarray | None) -> None:
        """Show these, float32 [H, W, 4] in 0..1 with straight alpha, or the first alone."""
        self._before = opaque(before)
        self._after = None if after is None else opaque(after)
        for caption in self._captions:
            caption.set_visible(after is not None)
        self._redraw()

    def _redraw(self) -> None:
        if self._before is None:
            return
        shown = self._before
        if self._after is not None:
            shown = self._after.copy()
            at = round(self._split * shown.shape[1])
            shown[:, :at] = self._before[:, :at]
            # A light line between dark ones stands out against anything.
            thick = 2 if self.has_focus() else 1
            shown[:, max(0, at - thick - 1) : at + thick + 1] = 30
            shown[:, max(0, at - thick) : at + thick] = 240
        height, width = shown.shape[:2]
        data = GLib.Bytes.new(shown.tobytes())
        self._image.set_from_pixbuf(
            GdkPixbuf.Pixbuf.new_from_bytes(data, GdkPixbuf.Colorspace.RGB, False, 8, width, height, 3 * width)
        )

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


def opaque(pixels: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3]: the picture over the checks that stand for transparency."""
    rgb, alpha = pixels[..., :3], pixels[..., 3:]
    if alpha.min() < 1:
        rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
        checks = np.where((rows // CHECK_SIZE + columns // CHECK_SIZE) % 2, *CHECKS)[..., None]
        rgb = rgb * alpha + checks * (1 - alpha)
    return (np.clip(np.nan_to_num(rgb), 0, 1) * 255 + 0.5).astype(np.uint8)
