"""The slider for how much detail a style keeps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gi.repository import Gimp, GimpUi, Gtk
from procedure_arguments import chosen_detail
from translation import _

from gui.form import limit_to_range
from nst_core.style_file import DEFAULT_DETAIL, DETAIL_RANGE, Style


class DetailScale:
    """A slider for the setting ``detail``, which shows the style's own value until the user moves it.

    Attributes:
        widget: the slider.
    """

    def __init__(self, config: Gimp.ProcedureConfig) -> None:
        self._config = config
        self._shown = DEFAULT_DETAIL
        adjustment = Gtk.Adjustment(value=self._shown, lower=DETAIL_RANGE[0], upper=DETAIL_RANGE[1])
        self.widget = GimpUi.SpinScale.new(adjustment, _("_Detail"), 0)
        limit_to_range(self.widget, DETAIL_RANGE)
        self.widget.set_tooltip_text(
            _(
                "How much detail, such as faces and lettering, the painting keeps; lower values give the style more "
                "freedom"
            )
        )
        self.widget.connect("value-changed", self._on_value_changed)
        self.widget.show()

    def show_styles(self, styles: Iterable[Style]) -> None:
        """Show the value that holds for these styles; the slider is disabled if none of them has the setting."""
        self._show_default([style.default_detail for style in styles if style.has_detail])

    def show_picture(self) -> None:
        """Show the value that holds for the style of a picture."""
        self._show_default([DEFAULT_DETAIL])

    def _show_default(self, defaults: Sequence[float]) -> None:
        self.widget.set_sensitive(bool(defaults))
        detail = chosen_detail(self._config)
        if detail is None and defaults:
            detail = defaults[0]
        if detail is not None and detail != self.widget.get_value():
            self._shown = detail
            self.widget.set_value(detail)

    def _on_value_changed(self, scale: GimpUi.SpinScale) -> None:
        value = scale.get_value()
        if value == self._shown:
            return
        self._shown = value
        self._config.set_property("detail", value)
