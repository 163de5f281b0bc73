"""The row below the gallery that says how much of each of two mixed styles is painted."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gtk, Pango
from translation import _

LEAST_PERCENT, STEP_PERCENT = 5, 5


class BalanceRow(Gtk.Stack):
    """A slider between the titles of two styles or, as long as there is only one, how to choose a second.

    Args:
        on_change: called with the share of the second style, above 0 and below 1, after the user has moved the slider.
    """

    def __init__(self, on_change: Callable[[float], None]) -> None:
        super().__init__(vhomogeneous=True, hhomogeneous=True)
        self._on_change = on_change
        hint = Gtk.Label(label=_("Ctrl+click another style to mix two."), xalign=0, wrap=True, width_chars=1)
        self._titles = _build_title(), _build_title()
        adjustment = Gtk.Adjustment(
            value=50,
            lower=LEAST_PERCENT,
            upper=100 - LEAST_PERCENT,
            step_increment=STEP_PERCENT,
            page_increment=4 * STEP_PERCENT,
        )
        self._scale = Gtk.Scale(adjustment=adjustment, draw_value=False)
        self._scale.set_size_request(120, -1)
        self._scale.get_accessible().set_name(_("Balance between the two styles"))
        self._scale.set_tooltip_text(_("How much of each style is painted"))
        self._handler = adjustment.connect("value-changed", self._on_value)
        row = Gtk.Box(spacing=6)
        for widget in (self._titles[0], self._scale, self._titles[1]):
            row.pack_start(widget, True, True, 0)
        self.add_named(hint, "hint")
        self.add_named(row, "balance")
        self.show_all()

    def show_mixture(self, titles: tuple[str, str] | None, share: float = 0.5) -> None:
        """Show the titles of two styles and the share of the second, or the hint if there are no two."""
        self.set_visible_child_name("balance" if titles else "hint")
        for label, title in zip(self._titles, titles or ("", ""), strict=True):
            label.set_text(title)
            label.set_tooltip_text(title)
        adjustment = self._scale.get_adjustment()
        with adjustment.handler_block(self._handler):
            adjustment.set_value(round(share * 100))

    def _on_value(self, adjustment: Gtk.Adjustment) -> None:
        self._on_change(round(adjustment.get_value()) / 100)


def _build_title() -> Gtk.Label:
    # A width of one character lets a long title leave room for the slider.
    return Gtk.Label(
        ellipsize=Pango.EllipsizeMode.END, width_chars=1, attributes=Pango.AttrList.from_string("0 -1 scale 0.9")
    )
