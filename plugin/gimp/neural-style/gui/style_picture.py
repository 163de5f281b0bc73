"""The settings of a style that is taken from a picture of the user's own."""

from __future__ import annotations

from gi.repository import GdkPixbuf, Gimp, GimpUi, Gio, GLib, GObject, Gtk
from procedure_arguments import RANGES
from translation import _

FEATURE_NETWORKS = ("auto", "compact", "vgg19", "vgg16")
# Pixels on the longer side and iterations; "normal" has the engine's defaults.
QUALITIES = {
    "draft": (_("Draft, for a first look"), 256, 100),
    "normal": (_("Normal"), 512, 300),
    "high": (_("High, takes long"), 1024, 300),
}
THUMBNAIL_SIDE = 160


def style_picture(dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig) -> Gtk.Box:
    """The picture itself, the quality, and behind an expander the numbers that the quality stands for."""
    size = dialog.get_widget("size", GimpUi.LabelSpin)
    iterations = dialog.get_widget("iterations", GimpUi.LabelSpin)
    for name, numbers in (("size", size), ("iterations", iterations)):
        limit(numbers.get_spin_button(), name, digits=0)
    file_row = dialog.get_widget("style-image", GObject.TYPE_NONE)
    features = labelled_row(dialog, "features", _("_Feature network"), _features(config))
    quality = labelled_row(dialog, "quality", _("_Quality"), _quality(config))
    _as_wide_as_each_other(size.get_label(), iterations.get_label(), features.get_children()[0])
    _as_wide_as_each_other(file_row.get_label_widget(), quality.get_children()[0])

    numbers = dialog.fill_box("numbers", ["size", "iterations", "features-row"])
    numbers.set_margin_start(18)
    numbers.set_margin_top(6)
    numbers.set_spacing(6)
    numbers.show()
    expander = Gtk.Expander(label=_("_Details"), use_underline=True)
    box = dialog.fill_box("style-picture", ["style-image", "quality-row"])
    box.set_spacing(6)
    thumbnail = _thumbnail(config)
    box.pack_start(thumbnail, False, False, 0)
    box.reorder_child(thumbnail, 1)
    box.pack_start(expander, False, False, 0)
    expander.add(numbers)
    expander.show()
    return box


def labelled_row(dialog: GimpUi.ProcedureDialog, name: str, text: str, widget: Gtk.Widget) -> Gtk.Box:
    """A row called ``name``-row of a widget of ours and its label."""
    label = dialog.get_label(f"{name}-label", text, False, True)
    label.set_xalign(0)
    label.set_mnemonic_widget(widget)
    row = dialog.fill_box(f"{name}-row", [f"{name}-label"])
    row.set_orientation(Gtk.Orientation.HORIZONTAL)
    row.set_spacing(6)
    row.pack_start(widget, True, True, 0)
    widget.show_all()
    return row


def limit(field: Gtk.SpinButton, name: str, digits: int) -> None:
    """Let the field for the argument ``name`` have no other numbers than make sense."""
    field.set_range(*RANGES[name])
    field.set_increments(1, 10)
    field.set_digits(digits)


def _as_wide_as_each_other(*labels: Gtk.Label) -> None:
    group = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
    for label in labels:
        group.add_widget(label)


def _quality(config: Gimp.ProcedureConfig) -> Gtk.ComboBoxText:
    combo = Gtk.ComboBoxText()
    for name, (title, *_numbers) in QUALITIES.items():
        combo.append(name, title)
    combo.append("own", _("As under Details"))

    def choose(_: Gtk.ComboBox) -> None:
        if combo.get_active_id() in QUALITIES:
            _, size, iterations = QUALITIES[combo.get_active_id()]
            config.set_property("size", size)
            config.set_property("iterations", iterations)

    def follow(*_: object) -> None:
        numbers = (config.get_property("size"), config.get_property("iterations"))
        fitting = (name for name, (_, *quality) in QUALITIES.items() if tuple(quality) == numbers)
        with combo.handler_block(chosen):
            combo.set_active_id(next(fitting, "own"))

    chosen = combo.connect("changed", choose)
    for name in ("size", "iterations"):
        config.connect(f"notify::{name}", follow)
    follow()
    return combo


def _features(config: Gimp.ProcedureConfig) -> Gtk.ComboBoxText:
    combo = Gtk.ComboBoxText.new_with_entry()
    for name in FEATURE_NETWORKS:
        combo.append_text(name)
    flags = GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE
    config.bind_property("features", combo.get_child(), "text", flags)
    return combo


def _thumbnail(config: Gimp.ProcedureConfig) -> Gtk.Image:
    image = Gtk.Image(halign=Gtk.Align.START)
    image.get_accessible().set_name(_("The style picture"))

    def follow(*_: object) -> None:
        file: Gio.File | None = config.get_property("style-image")
        pixbuf = None
        if file is not None and file.get_path():
            try:
                side = THUMBNAIL_SIDE
                pixbuf = GdkPixbuf.Pixbuf.new_from_file_at_scale(file.get_path(), side, side, True)
            except GLib.Error:  # GIMP opens more kinds of pictures than this
                pass
        image.set_from_pixbuf(pixbuf)
        image.set_visible(pixbuf is not None)

    config.connect("notify::style-image", follow)
    follow()
    return image
