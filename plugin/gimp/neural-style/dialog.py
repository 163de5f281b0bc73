"""The filter's dialog, built on GIMP's own procedure dialog. Needs the engine to be connected."""

from __future__ import annotations

from collections.abc import Sequence

import gi

gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")

from gi.repository import GdkPixbuf, Gimp, GimpUi, GLib, GObject, Gtk  # noqa: E402

from plugin.engine.style_library import Style, list_styles  # noqa: E402

THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT = 64, 48
FEATURE_NETWORKS = ("auto", "compact", "vgg19", "vgg16")


def ask(procedure: Gimp.Procedure, config: Gimp.ProcedureConfig) -> bool:
    """Let the user change ``config``. False if the dialog was cancelled."""
    GimpUi.init("neural-style")
    dialog = GimpUi.ProcedureDialog.new(procedure, config, "Neural Style")
    try:
        dialog.set_ok_label("_Paint")
        # GIMP's own rows first: ours take the width of their labels. GIMP's default widgets differ by version.
        output = dialog.get_widget("output", Gtk.ComboBox)
        iterations = dialog.get_widget("iterations", GimpUi.LabelSpin)
        file_row = dialog.get_widget("style-image", GObject.TYPE_NONE)
        dialog.get_widget("strength", GimpUi.SpinScale)
        style_row = _row(dialog, "style", "St_yle", _style_combo(config, list_styles()), output.get_label())
        _row(
            dialog,
            "features",
            "_Feature network",
            _features_entry(config),
            iterations.get_label(),
            file_row.get_label_widget(),
        )
        forget = Gtk.Button.new_from_icon_name("edit-clear", Gtk.IconSize.BUTTON)
        forget.set_tooltip_text("Back to the trained styles")
        forget.connect("clicked", lambda _: config.set_property("style-image", None))
        forget.show()
        file_row.pack_start(forget, False, False, 0)

        render_box = dialog.fill_box("render-box", ["size", "iterations", "features-row"])
        dialog.fill_box("picture-box", ["style-image", "render-box"])
        dialog.get_label("picture-title", "In the style of another picture", False, False)
        frame = dialog.fill_frame("picture-frame", "picture-title", False, "picture-box")
        frame.set_margin_top(12)
        dialog.fill(["style-row", "strength", "output", "picture-frame"])

        def follow_style_image(*_: object) -> None:
            from_picture = config.get_property("style-image") is not None
            for widget in (render_box, forget):
                widget.set_sensitive(from_picture)
            style_row.set_sensitive(not from_picture)

        config.connect("notify::style-image", follow_style_image)
        follow_style_image()
        return dialog.run()
    finally:
        dialog.destroy()


def _row(dialog: GimpUi.ProcedureDialog, name: str, text: str, widget: Gtk.Widget, *neighbours: Gtk.Label) -> Gtk.Box:
    """A row called ``name``-row of a widget of ours and its label, as wide as the labels of its neighbours."""
    label = dialog.get_label(f"{name}-label", text, False, True)
    label.set_xalign(0)
    label.set_mnemonic_widget(widget)
    row = dialog.fill_box(f"{name}-row", [f"{name}-label"])
    row.set_orientation(Gtk.Orientation.HORIZONTAL)
    row.set_spacing(6)
    row.pack_start(widget, True, True, 0)
    widget.show_all()
    group = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
    for member in (label, *neighbours):
        group.add_widget(member)
    return row


def _style_combo(config: Gimp.ProcedureConfig, styles: Sequence[Style]) -> Gtk.ComboBox:
    store = Gtk.ListStore(str, str, GdkPixbuf.Pixbuf)
    for style in styles:
        title, artist = (GLib.markup_escape_text(text) for text in (style.title, style.artist))
        store.append([style.name, f"<b>{title}</b>\n{artist}", _thumbnail(style)])
    combo = Gtk.ComboBox(model=store, id_column=0)
    picture = Gtk.CellRendererPixbuf(width=THUMBNAIL_WIDTH + 6)
    combo.pack_start(picture, False)
    combo.add_attribute(picture, "pixbuf", 2)
    text = Gtk.CellRendererText()
    combo.pack_start(text, True)
    combo.add_attribute(text, "markup", 1)
    # A style of the last run may be gone by now.
    if styles and config.get_property("style") not in (style.name for style in styles):
        config.set_property("style", styles[0].name)
    _bind(config, "style", combo, "active-id")
    return combo


def _thumbnail(style: Style) -> GdkPixbuf.Pixbuf | None:
    loader = GdkPixbuf.PixbufLoader()
    try:
        loader.write(style.thumbnail)
        loader.close()
    except GLib.Error:
        return None
    whole = loader.get_pixbuf()
    scale = min(THUMBNAIL_WIDTH / whole.get_width(), THUMBNAIL_HEIGHT / whole.get_height())
    size = (max(1, round(extent * scale)) for extent in (whole.get_width(), whole.get_height()))
    return whole.scale_simple(*size, GdkPixbuf.InterpType.BILINEAR)


def _features_entry(config: Gimp.ProcedureConfig) -> Gtk.ComboBoxText:
    combo = Gtk.ComboBoxText.new_with_entry()
    for name in FEATURE_NETWORKS:
        combo.append_text(name)
    _bind(config, "features", combo.get_child(), "text")
    return combo


def _bind(config: Gimp.ProcedureConfig, name: str, widget: Gtk.Widget, property: str) -> None:
    flags = GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE
    config.bind_property(name, widget, property, flags)
