"""The mouse and the keyboard on a SplitView."""

from __future__ import annotations

from enum import Enum

from gi.repository import Gdk, GLib, Gtk

from gui.split_view import SplitView

KEY_STEP = 0.05
PAN_STEP = 0.25
# How near to the line the mouse takes hold of it, and how far it moves before that is a drag, in GTK's pixels.
LINE_REACH, DRAG_REACH = 8, 3
HOLD_MS = 150
ARROW_KEYS = {Gdk.KEY_Left: (1, 0), Gdk.KEY_Right: (-1, 0), Gdk.KEY_Up: (0, 1), Gdk.KEY_Down: (0, -1)}
ZOOM_KEYS = {
    Gdk.KEY_plus: 1,
    Gdk.KEY_equal: 1,
    Gdk.KEY_KP_Add: 1,
    Gdk.KEY_minus: -1,
    Gdk.KEY_KP_Subtract: -1,
}


class Hold(Enum):
    """What the mouse button holds while it is down."""

    NOTHING = "default"
    LINE = "ew-resize"
    PICTURE = "grabbing"


class ViewControl:
    """Lets the user move the line, move and zoom the picture, and see the picture before while a button is down.

    The line follows the mouse, and the arrow keys, Home and End. The picture follows the mouse, and the arrow keys with
    Shift; the wheel and the keys + and - zoom, 0 fits and 1 shows 100 %. Holding the mouse button or the space bar
    shows the picture before.
    """

    def __init__(self, view: SplitView) -> None:
        self._view = view
        self._hold = Hold.NOTHING
        self._pressed_at = self._last = (0.0, 0.0)
        self._dragged = False
        self._timer = 0
        mask = Gdk.EventMask
        view.add_events(
            mask.BUTTON_PRESS_MASK
            | mask.BUTTON_RELEASE_MASK
            | mask.POINTER_MOTION_MASK
            | mask.SCROLL_MASK
            | mask.SMOOTH_SCROLL_MASK
            | mask.KEY_RELEASE_MASK
        )
        view.connect("button-press-event", self._on_press)
        view.connect("button-release-event", self._on_release)
        view.connect("motion-notify-event", self._on_motion)
        view.connect("scroll-event", self._on_scroll)
        view.connect("key-press-event", self._on_key)
        view.connect("key-release-event", self._on_key_release)
        view.connect("destroy", lambda _: self._stop_timer())

    def _position(self, event: Gdk.EventButton | Gdk.EventMotion | Gdk.EventScroll) -> tuple[float, float]:
        scale = self._view.get_scale_factor()
        return event.x * scale, event.y * scale

    def _near_line(self, x: float) -> bool:
        line = self._view.line
        return line is not None and abs(x - line) <= LINE_REACH * self._view.get_scale_factor()

    def _on_press(self, view: Gtk.Widget, event: Gdk.EventButton) -> bool:
        if event.button not in (1, 2):
            return Gdk.EVENT_PROPAGATE
        view.grab_focus()
        self._pressed_at = self._last = self._position(event)
        self._dragged = False
        if event.button == 1 and self._near_line(self._last[0]):
            self._hold = Hold.LINE
        else:
            self._hold = Hold.PICTURE
            self._stop_timer()
            if event.button == 1:
                self._timer = GLib.timeout_add(HOLD_MS, self._show_before)
        return Gdk.EVENT_STOP

    def _show_before(self) -> bool:
        self._timer = 0
        self._view.show_only_before(True)
        return GLib.SOURCE_REMOVE

    def _stop_timer(self) -> None:
        if self._timer:
            GLib.source_remove(self._timer)
            self._timer = 0

    def _on_release(self, _: Gtk.Widget, event: Gdk.EventButton) -> bool:
        self._stop_timer()
        self._hold = Hold.NOTHING
        self._view.show_only_before(False)
        self._show_cursor(self._position(event)[0])
        return Gdk.EVENT_STOP

    def _on_motion(self, _: Gtk.Widget, event: Gdk.EventMotion) -> bool:
        x, y = self._position(event)
        if self._hold == Hold.LINE:
            left, _top, right, _bottom = self._view.viewport.picture_rectangle()
            self._view.move_line((x - left) / max(1, right - left))
        elif self._hold == Hold.PICTURE and self._view.viewport.movable:
            reach = DRAG_REACH * self._view.get_scale_factor()
            if self._dragged or max(abs(x - self._pressed_at[0]), abs(y - self._pressed_at[1])) > reach:
                self._dragged = True
                self._stop_timer()
                self._view.show_only_before(False)
                self._view.viewport.move(x - self._last[0], y - self._last[1])
                self._view.view_changed()
                self._last = x, y
        self._show_cursor(x)
        return Gdk.EVENT_STOP

    def _on_scroll(self, _: Gtk.Widget, event: Gdk.EventScroll) -> bool:
        smooth, _across, down = event.get_scroll_deltas()
        if not smooth:
            down = {Gdk.ScrollDirection.UP: -1, Gdk.ScrollDirection.DOWN: 1}.get(event.direction, 0)
        if down:
            self._view.viewport.zoom_by(-down, self._position(event))
            self._view.view_changed()
        return Gdk.EVENT_STOP

    def _on_key(self, _: Gtk.Widget, event: Gdk.EventKey) -> bool:
        view, key = self._view, event.keyval
        targets = {
            Gdk.KEY_Left: view.split - KEY_STEP,
            Gdk.KEY_Right: view.split + KEY_STEP,
            Gdk.KEY_Home: 0.0,
            Gdk.KEY_End: 1.0,
        }
        if key in ARROW_KEYS and event.state & Gdk.ModifierType.SHIFT_MASK:
            left, top, right, bottom = view.viewport.picture_rectangle()
            across, down = ARROW_KEYS[key]
            view.viewport.move(across * PAN_STEP * (right - left), down * PAN_STEP * (bottom - top))
            view.view_changed()
        elif key in targets and view.line is not None:
            view.move_line(targets[key])
        elif key in ZOOM_KEYS:
            view.viewport.zoom_by(ZOOM_KEYS[key])
            view.view_changed()
        elif key in (Gdk.KEY_0, Gdk.KEY_KP_0):
            view.viewport.fit()
            view.view_changed()
        elif key in (Gdk.KEY_1, Gdk.KEY_KP_1):
            view.viewport.zoom(1.0)
            view.view_changed()
        elif key == Gdk.KEY_space:
            view.show_only_before(True)
        else:
            return Gdk.EVENT_PROPAGATE
        return Gdk.EVENT_STOP

    def _on_key_release(self, _: Gtk.Widget, event: Gdk.EventKey) -> bool:
        if event.keyval != Gdk.KEY_space:
            return Gdk.EVENT_PROPAGATE
        self._view.show_only_before(False)
        return Gdk.EVENT_STOP

    def _show_cursor(self, x: float) -> None:
        if self._hold == Hold.PICTURE:
            name = Hold.PICTURE.value if self._dragged else "default"
        elif self._hold == Hold.LINE or self._near_line(x):
            name = Hold.LINE.value
        else:
            name = "grab" if self._view.viewport.movable else "default"
        window = self._view.get_window()
        if window:
            window.set_cursor(Gdk.Cursor.new_from_name(self._view.get_display(), name))
