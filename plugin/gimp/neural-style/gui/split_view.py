"""A picture before and after, divided by a line, which the user can move, enlarge and compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gi.repository import GdkPixbuf, GLib, Gtk
from translation import _

from gui.canvas import Canvas
from gui.pixbufs import Rectangle, draw_scaled, fill_rectangle
from gui.viewport import Viewport
from plugin.engine.messages import Area

SMALLEST_WIDTH, SMALLEST_HEIGHT = 240, 160
CAPTION_MARGIN = 6


@dataclass(frozen=True, eq=False)
class ShownPicture:
    """A picture of an area."""

    pixbuf: GdkPixbuf.Pixbuf
    area: Area


class SplitView(Gtk.EventBox):
    """Shows two pictures of the same area: the first to the left of a line, the second to the right of it.

    ``gui.view_control.ViewControl`` lets the mouse and the keyboard move the line and the pictures.

    Args:
        name: for screen readers.
        on_view: called in the main loop after the user sees another part of the picture, or another size.

    Attributes:
        overview: the whole picture before, which is seen until a sharper one is shown.
        viewport: the part that is seen. Call ``view_changed`` after a change.
    """

    def __init__(self, name: str, on_view: Callable[[], None] = lambda: None) -> None:
        super().__init__(can_focus=True, above_child=True)
        self.get_accessible().set_name(name)
        self._on_view = on_view
        self.viewport = Viewport(1, 1)
        self._split, self._split_shown, self._only_before = 0.5, True, False
        self._after: ShownPicture | None = None
        self._canvas = Canvas(self.view_changed)
        self._canvas.set_size_request(SMALLEST_WIDTH, SMALLEST_HEIGHT)
        self._captions = _caption(_("Before")), _caption(_("After"))
        overlay = Gtk.Overlay()
        overlay.add(self._canvas)
        for caption in self._captions:
            overlay.add_overlay(caption)
            overlay.set_overlay_pass_through(caption, True)
        self.add(overlay)
        self.show_all()
        for change in ("focus-in-event", "focus-out-event"):
            self.connect_after(change, lambda *_: self.redraw())

    def open_picture(self, overview: GdkPixbuf.Pixbuf, width: int, height: int) -> None:
        """Begin with another picture, of this size, and an overview of it, of any size."""
        self.viewport = Viewport(width, height)
        self.overview = ShownPicture(overview, Area(0, 0, width, height))
        self._before, self._after = self.overview, None
        self.view_changed()

    @property
    def line(self) -> int | None:
        """Where the line is, from the left in the screen's pixels, or None if there is none."""
        if self._after is None or not self._split_shown or self._only_before:
            return None
        left, _top, right, _bottom = self.viewport.picture_rectangle()
        return left + round(self._split * (right - left))

    @property
    def split(self) -> float:
        """Where the line is, as a fraction of the width of what is seen."""
        return self._split

    def move_line(self, split: float) -> None:
        """Move the line to a fraction of the width."""
        self._split = min(1.0, max(0.0, split))
        self.redraw()

    def show_line(self, shown: bool) -> None:
        """Show both pictures with a line between them, or only the second."""
        self._split_shown = shown
        self.redraw()

    def show_only_before(self, only_before: bool) -> None:
        """Show only the first picture for a while."""
        if only_before != self._only_before:
            self._only_before = only_before
            self.redraw()

    def show_pictures(self, before: ShownPicture, after: ShownPicture | None) -> None:
        """Show these two pictures, or only the first if the second is None."""
        if (before, after) != (self._before, self._after):
            self._before, self._after = before, after
            self.redraw()

    def view_changed(self) -> None:
        """Show what there is of another part or size of the picture, and tell the owner."""
        self.viewport.resize(*self._canvas.size)
        self.redraw()
        self._on_view()

    def redraw(self) -> None:
        """Draw what is seen."""
        self.viewport.resize(*self._canvas.size)
        canvas = self._canvas.new_picture()
        left, top, right, bottom = seen = self.viewport.picture_rectangle()
        self._draw(self.overview, canvas, seen)
        line = self.line
        before_end = line if line is not None else right
        if self._after is not None and line is None and not self._only_before:
            before_end = left
        self._draw(self._before, canvas, (left, top, before_end, bottom))
        if self._after is not None:
            self._draw(self._after, canvas, (before_end, top, right, bottom))
        if line is not None:
            # A light line between dark ones stands out against any picture.
            half_width = (2 if self.has_focus() else 1) * self.get_scale_factor()
            fill_rectangle(canvas, (line - half_width - 1, top, line + half_width + 1, bottom), grey=30)
            fill_rectangle(canvas, (line - half_width, top, line + half_width, bottom), grey=240)
        self._canvas.show_picture(canvas)
        self._place_captions(seen)

    def _draw(self, shown: ShownPicture, canvas: GdkPixbuf.Pixbuf, clip: Rectangle) -> None:
        # Pixels that are larger than the screen's are seen as such.
        smooth = self.viewport.scale <= 1 or shown is self.overview
        draw_scaled(shown.pixbuf, canvas, self.viewport.rectangle(shown.area), clip, smooth=smooth)

    def _place_captions(self, seen: Rectangle) -> None:
        scale = self.get_scale_factor()
        width, height = self._canvas.size
        left, right, bottom = seen[0] // scale, (width - seen[2]) // scale, (height - seen[3]) // scale
        before, after = self._captions
        before.set_visible(self._after is not None and (self.line is not None or self._only_before))
        after.set_visible(self._after is not None and not self._only_before)
        for caption, side, margin in ((before, Gtk.Align.START, left), (after, Gtk.Align.END, right)):
            caption.set_halign(side)
            caption.set_margin_start(margin + CAPTION_MARGIN if side == Gtk.Align.START else CAPTION_MARGIN)
            caption.set_margin_end(margin + CAPTION_MARGIN if side == Gtk.Align.END else CAPTION_MARGIN)
            caption.set_margin_bottom(bottom + CAPTION_MARGIN)


def _caption(text: str) -> Gtk.Label:
    label = Gtk.Label(valign=Gtk.Align.END, no_show_all=True)
    # "osd" has a dark background in every theme, so white text is readable in every theme.
    label.get_style_context().add_class("osd")
    label.set_markup(f'<span foreground="white"> {GLib.markup_escape_text(text)} </span>')
    return label
