"""The buttons that zoom a SplitView and choose how it compares its pictures."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gtk, Pango
from translation import _

from gui.split_view import SplitView


class ZoomBar(Gtk.Box):
    """Fit, 100 %, smaller, larger, and whether there is a line. Call ``update`` after the view has changed."""

    def __init__(self, view: SplitView) -> None:
        super().__init__(spacing=6)
        self._view = view
        self._fit = self._button(_("Fit"), _("Show the whole picture (0)"), lambda: view.viewport.fit())
        full = self._button("100 %", _("Show the picture's own pixels (1)"), lambda: view.viewport.zoom(1.0))
        smaller = self._button("\N{MINUS SIGN}", _("Zoom out (-, mouse wheel)"), lambda: view.viewport.zoom_by(-1))
        larger = self._button("+", _("Zoom in (+, mouse wheel)"), lambda: view.viewport.zoom_by(1))
        self._scale = Gtk.Label(width_chars=6, attributes=Pango.AttrList.from_string("0 -1 font-features 'tnum=1'"))
        line = Gtk.CheckButton(label=_("Split"), active=True)
        line.set_tooltip_text(_("Show the photo on the left and the painting on the right"))
        line.connect("toggled", lambda _: view.show_line(line.get_active()))
        for buttons in ((self._fit, full), (smaller, self._scale, larger)):
            group = Gtk.Box()
            if self._scale not in buttons:
                group.get_style_context().add_class("linked")
            for button in buttons:
                group.pack_start(button, False, False, 0)
            self.pack_start(group, False, False, 0)
        self.pack_end(line, False, False, 0)

    def update(self) -> None:
        """Say how large the picture is shown."""
        self._scale.set_text(f"{round(self._view.viewport.scale * 100)} %")
        self._fit.set_sensitive(not self._view.viewport.smallest_scale)

    def _button(self, label: str, tooltip: str, change: Callable[[], None]) -> Gtk.Button:
        button = Gtk.Button(label=label, tooltip_text=tooltip)
        button.get_accessible().set_name(tooltip)

        def on_click(_: Gtk.Widget) -> None:
            change()
            self._view.view_changed()

        button.connect("clicked", on_click)
        return button
