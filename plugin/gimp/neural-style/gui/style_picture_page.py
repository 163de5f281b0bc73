"""The dialog's page for a style that is taken from a picture of the user's own."""

from __future__ import annotations

from gi.repository import Gimp, GimpUi, GObject, Gtk
from procedure_arguments import AUTO, INSTANT, ITERATIVE, RANGES
from translation import _

from gui.form import add_labelled_row, align_widths, limit_to_range
from gui.picture_chooser import PictureChooser
from gui.picture_tiles import PictureTiles

FEATURE_NETWORKS = ("auto", "compact", "vgg19", "vgg16")
# Pixels on the longer side and iterations of a render; "normal" has the engine's defaults.
QUALITIES = {
    "draft": (_("Refined: draft (quick look)"), 256, 100),
    "normal": (_("Refined: normal, minutes"), 512, 300),
    "high": (_("Refined: large (slow)"), 1024, 300),
}
PICTURES_HEIGHT = 140  # one row of tiles with their title
SLIDERS = {
    "motifs": _("How much large shapes of the picture, such as stars and whorls, replace those of the photo"),
    "brushwork": _("How much strokes of the picture replace those of the photo"),
}


class StylePicturePage:
    """The page: the style picture, the quality, and the settings of the method that the quality stands for.

    Attributes:
        widget: the page.
        install: the button that installs PyTorch, which the dialog shows where it is missing.
    """

    def __init__(self, dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig) -> None:
        picture = add_labelled_row(dialog, "style-image", _("P_icture"), PictureChooser(config, "style-image"))
        quality = add_labelled_row(dialog, "quality", _("_Quality"), _build_quality_combo(config))
        align_widths(picture.get_children()[0], quality.get_children()[0])
        self.install = Gtk.Button(label=_("Install P_yTorch…"), use_underline=True, no_show_all=True)
        self._config = config
        self._sliders, self._numbers = _build_sliders(dialog), _build_numbers(dialog, config)
        pictures = Gtk.ScrolledWindow(
            hscrollbar_policy=Gtk.PolicyType.NEVER, overlay_scrolling=False, min_content_height=PICTURES_HEIGHT
        )
        pictures.add(PictureTiles(config))
        pictures.show()
        self.widget = dialog.fill_box("style-picture", ["style-image-row", "quality-row"])
        self.widget.set_spacing(6)
        for widget in (self.install, self._sliders, self._numbers):
            self.widget.pack_start(widget, False, False, 0)
        self.widget.pack_start(pictures, True, True, 0)
        config.connect("notify::method", self._show_method)
        self._show_method()

    def _show_method(self, *_: object) -> None:
        iterative = self._config.get_property("method") == ITERATIVE
        self._sliders.set_visible(not iterative)
        self._numbers.set_visible(iterative)
        self.install.set_visible(False)  # until the dialog finds PyTorch missing


def _build_sliders(dialog: GimpUi.ProcedureDialog) -> Gtk.Box:
    """Build the settings of painting at once."""
    for name, text in SLIDERS.items():
        scale = dialog.get_widget(name, GimpUi.SpinScale)
        limit_to_range(scale, RANGES[name])
        scale.unset_scale_limits()
        scale.set_tooltip_text(text)
    box = dialog.fill_box("instant", list(SLIDERS))
    box.set_spacing(6)
    return box


def _build_numbers(dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig) -> Gtk.Expander:
    """Build the numbers of a render, which the quality stands for."""
    size = dialog.get_widget("size", GimpUi.LabelSpin)
    iterations = dialog.get_widget("iterations", GimpUi.LabelSpin)
    for name, field in (("size", size), ("iterations", iterations)):
        limit_to_range(field.get_spin_button(), RANGES[name])
    features = add_labelled_row(dialog, "features", _("_Feature network"), _build_features_combo(config))
    align_widths(size.get_label(), iterations.get_label(), features.get_children()[0])
    numbers = dialog.fill_box("numbers", ["size", "iterations", "features-row"])
    numbers.set_margin_start(18)
    numbers.set_margin_top(6)
    numbers.set_spacing(6)
    numbers.show()
    expander = Gtk.Expander(label=_("_Details"), use_underline=True)
    expander.add(numbers)
    return expander


def _build_quality_combo(config: Gimp.ProcedureConfig) -> Gtk.ComboBoxText:
    combo = Gtk.ComboBoxText()
    combo.append(INSTANT, _("Instant"))
    for name, (title, *_numbers) in QUALITIES.items():
        combo.append(name, title)
    combo.append("own", _("Refined: as under Details"))

    def on_choice(_: Gtk.ComboBox) -> None:
        chosen = combo.get_active_id()
        if chosen in QUALITIES:
            _, size, iterations = QUALITIES[chosen]
            config.set_property("size", size)
            config.set_property("iterations", iterations)
        config.set_property("method", INSTANT if chosen == INSTANT else ITERATIVE)

    def on_settings(*_: object) -> None:
        chosen = INSTANT
        if config.get_property("method") == ITERATIVE:
            numbers = (config.get_property("size"), config.get_property("iterations"))
            chosen = next((name for name, (_, *quality) in QUALITIES.items() if tuple(quality) == numbers), "own")
        with combo.handler_block(choice_handler):
            combo.set_active_id(chosen)
        if config.get_property("method") == AUTO:  # as after a reset of all settings
            config.set_property("method", INSTANT)

    choice_handler = combo.connect("changed", on_choice)
    for name in ("method", "size", "iterations"):
        config.connect(f"notify::{name}", on_settings)
    on_settings()
    return combo


def _build_features_combo(config: Gimp.ProcedureConfig) -> Gtk.ComboBoxText:
    combo = Gtk.ComboBoxText.new_with_entry()
    for name in FEATURE_NETWORKS:
        combo.append_text(name)
    flags = GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE
    config.bind_property("features", combo.get_child(), "text", flags)
    return combo
