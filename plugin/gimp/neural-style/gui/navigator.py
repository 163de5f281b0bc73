"""A small picture of the whole, in which the part to look at is chosen."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gdk, GdkPixbuf, Gtk

from gui.split_view import paint_over

LONGEST_SIDE = 120
STEPS = {Gdk.KEY_Left: (-1, 0), Gdk.KEY_Right: (1, 0), Gdk.KEY_Up: (0, -1), Gdk.KEY_Down: (0, 1)}
DIMMED = 115  # of 255


class Navigator(Gtk.EventBox):
    """The part is moved with the mouse or the arrow keys.

    Args:
        name: for screen readers.
        picture: the whole, of any size.
        share: of the whole's width and height, what the part has.
        tell: called with the part's left upper corner, in shares of the whole's width and height, when it has moved.
    """

    def __init__(
        self, name: str, picture: GdkPixbuf.Pixbuf, share: tuple[float, float], tell: Callable[[float, float], None]
    ) -> None:
        super().__init__(can_focus=True, halign=Gtk.Align.END, valign=Gtk.Align.START)
        self.get_accessible().set_name(name)
        self.set_tooltip_text(name)
        self._share, self._tell = share, tell
        self._corner = ((1 - share[0]) / 2, (1 - share[1]) / 2)
        extents = picture.get_width(), picture.get_height()
        shrink = max(1.0, max(extents) / LONGEST_SIDE)
        self._width, self._height = (max(1, int(extent / shrink)) for extent in extents)
        self._whole = picture.scale_simple(self._width, self._height, GdkPixbuf.InterpType.NEAREST)
        self._image = Gtk.Image()
        self.add(self._image)
        self.show_all()
        self.add_events(Gdk.EventMask.BUTTON_PRESS_MASK | Gdk.EventMask.BUTTON1_MOTION_MASK)
        self.connect("button-press-event", self._drag)
        self.connect("motion-notify-event", self._drag)
        self.connect("key-press-event", self._key)
        for change in ("focus-in-event", "focus-out-event"):
            self.connect_after(change, lambda *_: self._redraw())
        self._redraw()

    @property
    def corner(self) -> tuple[float, float]:
        """As it is told."""
        return self._corner

    def _redraw(self) -> None:
        width, height = self._width, self._height
        (left, top), (across, down) = self._corner, self._share
        x, y = round(left * width), round(top * height)
        right = min(width, max(x + 4, round((left + across) * width)))
        bottom = min(height, max(y + 4, round((top + down) * height)))
        # Over black.
        shown = self._whole.composite_color_simple(width, height, GdkPixbuf.InterpType.NEAREST, DIMMED, 8, 0, 0)
        thick = 2 if self.has_focus() else 1
        paint_over(shown, x, y, right, bottom, 255)
        across, down = right - x - 2 * thick, bottom - y - 2 * thick
        if across > 0 and down > 0:
            self._whole.copy_area(x + thick, y + thick, across, down, shown, x + thick, y + thick)
        self._image.set_from_pixbuf(shown)

    def _move_to(self, left: float, top: float) -> None:
        across, down = self._share
        self._corner = min(max(0.0, left), 1 - across), min(max(0.0, top), 1 - down)
        self._redraw()
        self._tell(*self._corner)

    def _drag(self, _: Gtk.Widget, event: Gdk.EventButton | Gdk.EventMotion) -> bool:
        self.grab_focus()
        self._move_to(event.x / self._width - self._share[0] / 2, event.y / self._height - self._share[1] / 2)
        return Gdk.EVENT_STOP

    def _key(self, _: Gtk.Widget, event: Gdk.EventKey) -> bool:
        if event.keyval not in STEPS:
            return Gdk.EVENT_PROPAGATE
        (left, top), (across, down), (right, below) = self._corner, self._share, STEPS[event.keyval]
        self._move_to(left + right * across / 2, top + below * down / 2)
        return Gdk.EVENT_STOP
