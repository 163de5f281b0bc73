"""The part of the dialog that says which style goes where, and what is protected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePath

from gi.repository import Gimp, Gio, GLib, GObject, Gtk, Pango
from procedure_arguments import RANGES
from region_rows import ALPHA, CHANNEL, EVERYTHING, LAYER_MASK, OUTSIDE, SELECTION, RegionRow, format_rows, parse_rows
from showable import showable
from translation import _

from gui.form import limit_to_range
from nst_core.base.errors import StyleError
from plugin.engine.fast.style_library import list_styles
from plugin.engine.regions.region_settings import MOST_REGIONS, NO_STYLE

PLACE_TITLES = {
    SELECTION: _("Selection"),
    OUTSIDE: _("Outside the selection"),
    LAYER_MASK: _("Layer mask"),
    ALPHA: _("Opaque pixels"),
    EVERYTHING: _("Everything else"),
}
CHOOSE = "choose"


class RegionList(Gtk.Expander):
    """Rows of a style and its place, the feather, and what is protected; they follow ``config`` and change it."""

    def __init__(self, config: Gimp.ProcedureConfig, image: Gimp.Image) -> None:
        super().__init__(label=_("Regi_ons and protection"), use_underline=True)
        self._config, self._image = config, image
        self._rows = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._add = Gtk.Button(label=_("Add a region with its own sty_le"), use_underline=True)
        self._add.connect("clicked", lambda _button: self._append())
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, margin_start=18, margin_top=6)
        for widget in (self._rows, self._add, self._build_protect(), self._build_feather()):
            box.pack_start(widget, False, False, 0)
        self.add(box)
        config.connect("notify::regions", lambda *_: self._show())
        self._show()
        self.show_all()
        self.set_expanded(bool(config.get_property("regions") or config.get_property("protect")))

    def _build_protect(self) -> Gtk.Widget:
        combo = Gtk.ComboBoxText()
        combo.append("", _("Nothing"))
        for place, title in self._places((SELECTION, OUTSIDE, LAYER_MASK, ALPHA)):
            combo.append(place, title)
        combo.set_active_id(self._config.get_property("protect") or "")
        combo.connect("changed", lambda combo: self._config.set_property("protect", combo.get_active_id() or ""))
        self._config.connect("notify::protect", lambda *_: combo.set_active_id(self._config.get_property("protect")))
        combo.set_tooltip_text(_("Where less of the style goes, such as a selected face"))
        return _labelled(_("Protect:"), combo)

    def _build_feather(self) -> Gtk.Widget:
        field = Gtk.SpinButton(adjustment=Gtk.Adjustment())
        limit_to_range(field, RANGES["feather"])
        flags = GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE
        self._config.bind_property("feather", field, "value", flags)
        field.set_tooltip_text(_("By how many pixels the edges soften on each side"))
        return _labelled(_("Feather (pixels):"), field)

    def _places(self, places: Sequence[str]) -> list[tuple[str, str]]:
        """Return places with their titles, the image's channels last."""
        channels = [channel.get_name() for channel in self._image.get_channels()]
        named = [
            (CHANNEL + name, showable(_("Channel {name}").format(name=name))) for name in channels if "=" not in name
        ]
        return [(place, PLACE_TITLES[place]) for place in places] + named

    def _read(self) -> list[RegionRow]:
        try:
            return parse_rows(self._config.get_property("regions") or "")
        except StyleError:  # of a script's last values; the status says what is wrong
            return []

    def _write(self, rows: Sequence[RegionRow]) -> None:
        self._config.set_property("regions", format_rows(rows))

    def _append(self) -> None:
        rows, used = self._read(), {row.where for row in self._read()}
        free = [place for place, _title in self._places(tuple(PLACE_TITLES)) if place not in used]
        channels = [place for place in free if place.startswith(CHANNEL)]
        place = next(iter([*channels, *free]), SELECTION)
        self._write([*rows, RegionRow(place, NO_STYLE)])

    def _show(self) -> None:
        """Show the rows of the setting."""
        rows = self._read()
        for child in self._rows.get_children():
            self._rows.remove(child)
        for number, row in enumerate(rows):
            self._rows.pack_start(self._build_row(number, row), False, False, 0)
        self._rows.show_all()
        self._add.set_sensitive(len(rows) < MOST_REGIONS)

    def _build_row(self, number: int, row: RegionRow) -> Gtk.Widget:
        def change(**values: str) -> None:
            rows = self._read()
            rows[number] = RegionRow(**{"where": row.where, "style": row.style} | values)
            # Later: the combo box that has changed is replaced.
            GLib.idle_add(self._write, rows)

        styles = [(NO_STYLE, _("The photo as it is")), *((style.name, style.title) for style in list_styles())]
        if row.style not in dict(styles):
            styles.append((row.style, showable(PurePath(row.style).name)))
        style = _combo([*styles, (CHOOSE, _("A picture…"))], row.style)
        where = _combo(self._places(tuple(PLACE_TITLES)), row.where)
        style.connect("changed", lambda combo: self._choose_style(combo, row, lambda name: change(style=name)))
        where.connect("changed", lambda combo: change(where=combo.get_active_id()))
        remove = Gtk.Button.new_from_icon_name("list-remove-symbolic", Gtk.IconSize.BUTTON)
        remove.set_tooltip_text(_("Remove this region"))
        others = [other for other in enumerate(self._read()) if other[0] != number]
        remove.connect("clicked", lambda _button: GLib.idle_add(self._write, [other for _n, other in others]))
        box = Gtk.Box(spacing=6)
        box.pack_start(style, True, True, 0)
        box.pack_start(where, True, True, 0)
        box.pack_start(remove, False, False, 0)
        return box

    def _choose_style(self, combo: Gtk.ComboBoxText, row: RegionRow, change: Callable[[str], None]) -> None:
        """Take the style that was chosen, after a dialog if it is a picture."""
        name = combo.get_active_id()
        if name == row.style:
            return
        if name != CHOOSE:
            change(name)
            return
        chooser = Gtk.FileChooserNative.new(
            _("Choose a picture"), self.get_toplevel(), Gtk.FileChooserAction.OPEN, None, None
        )
        path = chooser.get_filename() if chooser.run() == Gtk.ResponseType.ACCEPT else None
        chooser.destroy()
        if path:
            change(Gio.File.new_for_path(path).get_uri())
        else:
            combo.set_active_id(row.style)


def _combo(choices: Sequence[tuple[str, str]], active: str) -> Gtk.ComboBoxText:
    combo = Gtk.ComboBoxText()
    for value, title in choices:
        combo.append(value, title)
    if active not in dict(choices):
        combo.append(active, active)
    combo.set_active_id(active)
    for renderer in combo.get_cells():  # a long name must not widen the dialog
        renderer.set_property("ellipsize", Pango.EllipsizeMode.END)
        renderer.set_property("width-chars", 12)
    return combo


def _labelled(text: str, widget: Gtk.Widget) -> Gtk.Box:
    label = Gtk.Label(label=text, xalign=0, mnemonic_widget=widget)
    box = Gtk.Box(spacing=6)
    box.pack_start(label, False, False, 0)
    box.pack_start(widget, True, True, 0)
    return box
