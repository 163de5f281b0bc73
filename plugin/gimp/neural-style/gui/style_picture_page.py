"""The dialog's page for a style that is taken from a picture of the user's own."""

from __future__ import annotations

from gi.repository import Gimp, GimpUi, GObject, Gtk
from procedure_arguments import RANGES
from translation import _

from gui.form import add_labelled_row, align_widths, limit_to_range
from gui.picture_chooser import PictureChooser

FEATURE_NETWORKS = ("auto", "compact", "vgg19", "vgg16")
# Pixels on the longer side and iterations; "normal" has the engine's defaults.
QUALITIES = {
    "draft": (_("Draft, for a first look"), 256, 100),
    "normal": (_("Normal"), 512, 300),
    "high": (_("High, takes long"), 1024, 300),
}


def build_style_picture_page(dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig) -> Gtk.Box:
    """Return the page: the style picture, the quality and, in an expander, the numbers that the quality stands for."""
    size = dialog.get_widget("size", GimpUi.LabelSpin)
    iterations = dialog.get_widget("iterations", GimpUi.LabelSpin)
    for name, field in (("size", size), ("iterations", iterations)):
        limit_to_range(field.get_spin_button(), RANGES[name])
    features = add_labelled_row(dialog, "features", _("_Feature network"), _build_features_combo(config))
    quality = add_labelled_row(dialog, "quality", _("_Quality"), _build_quality_combo(config))
    align_widths(size.get_label(), iterations.get_label(), features.get_children()[0])
    picture = add_labelled_row(dialog, "style-image", _("P_icture"), PictureChooser(config, "style-image"))
    align_widths(picture.get_children()[0], quality.get_children()[0])

    numbers = dialog.fill_box("numbers", ["size", "iterations", "features-row"])
    numbers.set_margin_start(18)
    numbers.set_margin_top(6)
    numbers.set_spacing(6)
    numbers.show()
    expander = Gtk.Expander(label=_("_Details"), use_underline=True)
    page = dialog.fill_box("style-picture", ["style-image-row", "quality-row"])
    page.set_spacing(6)
    page.pack_start(expander, False, False, 0)
    expander.add(numbers)
    expander.show()
    return page


def _build_quality_combo(config: Gimp.ProcedureConfig) -> Gtk.ComboBoxText:
    combo = Gtk.ComboBoxText()
    for name, (title, *_numbers) in QUALITIES.items():
        combo.append(name, title)
    combo.append("own", _("As under Details"))

    def on_choice(_: Gtk.ComboBox) -> None:
        if combo.get_active_id() in QUALITIES:
            _, size, iterations = QUALITIES[combo.get_active_id()]
            config.set_property("size", size)
            config.set_property("iterations", iterations)

    def on_numbers(*_: object) -> None:
        numbers = (config.get_property("size"), config.get_property("iterations"))
        matching = (name for name, (_, *quality) in QUALITIES.items() if tuple(quality) == numbers)
        with combo.handler_block(choice_handler):
            combo.set_active_id(next(matching, "own"))

    choice_handler = combo.connect("changed", on_choice)
    for name in ("size", "iterations"):
        config.connect(f"notify::{name}", on_numbers)
    on_numbers()
    return combo


def _build_features_combo(config: Gimp.ProcedureConfig) -> Gtk.ComboBoxText:
    combo = Gtk.ComboBoxText.new_with_entry()
    for name in FEATURE_NETWORKS:
        combo.append_text(name)
    flags = GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE
    config.bind_property("features", combo.get_child(), "text", flags)
    return combo
