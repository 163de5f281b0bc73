"""A small picture of the whole layer, in which the user chooses the part to look at."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gdk, GdkPixbuf, Gtk

from gui.pixbufs import fill_rectangle

NAVIGATOR_SIDE = 120
DIRECTIONS = {Gdk.KEY_Left: (-1, 0), Gdk.KEY_Right: (1, 0), Gdk.KEY_Up: (0, -1), Gdk.KEY_Down: (0, 1)}
DIMMED = 115  # of 255


class Navigator(Gtk.EventBox):
    """Shows the chosen part as a frame, which the user moves with the mouse or the arrow keys.

    Positions and sizes are fractions of the whole picture's width and height.

    Args:
        name: for screen readers and the tooltip.
        picture: the whole, of any size.
        part_size: width and height of the part.
        on_move: called after the part has moved.
    """

    def __init__(
        self, name: str, picture: GdkPixbuf.Pixbuf, part_size: tuple[float, float], on_move: Callable[[], None]
    ) -> None:
        super().__init__(can_focus=True, halign=Gtk.Align.END, valign=Gtk.Align.START)
        self.get_accessible().set_name(name)
        self.set_tooltip_text(name)
        self._part_size, self._on_move = part_size, on_move
        self._corner = ((1 - part_size[0]) / 2, (1 - part_size[1]) / 2)
        sides = picture.get_width(), picture.get_height()
        shrink = max(1.0, max(sides) / NAVIGATOR_SIDE)
        self._width, self._height = (max(1, int(side / shrink)) for side in sides)
        self._whole = picture.scale_simple(self._width, self._height, GdkPixbuf.InterpType.NEAREST)
        self._image = Gtk.Image()
        self.add(self._image)
        self.show_all()
        self.add_events(Gdk.EventMask.BUTTON_PRESS_MASK | Gdk.EventMask.BUTTON1_MOTION_MASK)
        self.connect("button-press-event", self._on_mouse)
        self.connect("motion-notify-event", self._on_mouse)
        self.connect("key-press-event", self._on_key)
        for change in ("focus-in-event", "focus-out-event"):
            self.connect_after(change, lambda *_: self._redraw())
        self._redraw()

    @property
    def corner(self) -> tuple[float, float]:
        """The left and the top of the chosen part."""
        return self._corner

    def _redraw(self) -> None:
        width, height = self._width, self._height
        (left, top), (part_width, part_height) = self._corner, self._part_size
        x, y = round(left * width), round(top * height)
        right = min(width, max(x + 4, round((left + part_width) * width)))
        bottom = min(height, max(y + 4, round((top + part_height) * height)))
        # Composited over black, which dims it.
        shown = self._whole.composite_color_simple(width, height, GdkPixbuf.InterpType.NEAREST, DIMMED, 8, 0, 0)
        frame = 2 if self.has_focus() else 1
        fill_rectangle(shown, x, y, right, bottom, grey=255)
        inner_width, inner_height = right - x - 2 * frame, bottom - y - 2 * frame
        if inner_width > 0 and inner_height > 0:
            self._whole.copy_area(x + frame, y + frame, inner_width, inner_height, shown, x + frame, y + frame)
        self._image.set_from_pixbuf(shown)

    def _move_to(self, left: float, top: float) -> None:
        width, height = self._part_size
        self._corner = min(max(0.0, left), 1 - width), min(max(0.0, top), 1 - height)
        self._redraw()
        self._on_move()

    def _on_mouse(self, _: Gtk.Widget, event: Gdk.EventButton | Gdk.EventMotion) -> bool:
        self.grab_focus()
        width, height = self._part_size
        self._move_to(event.x / self._width - width / 2, event.y / self._height - height / 2)
        return Gdk.EVENT_STOP

    def _on_key(self, _: Gtk.Widget, event: Gdk.EventKey) -> bool:
        if event.keyval not in DIRECTIONS:
            return Gdk.EVENT_PROPAGATE
        (left, top), (width, height), (right, down) = self._corner, self._part_size, DIRECTIONS[event.keyval]
        self._move_to(left + right * width / 2, top + down * height / 2)
        return Gdk.EVENT_STOP
