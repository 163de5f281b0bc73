"""The dialog that asks which folder to paint and how. Needs the engine to be connected."""

from __future__ import annotations

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")

import folders
from gi.repository import Gimp, GimpUi, GObject, Gtk, Pango
from procedure_arguments import FOLDER_SETTINGS, RANGES, SETTINGS
from showable import showable
from translation import _, ngettext

from gui.detail_scale import DetailScale
from gui.form import SPACING, add_labelled_row, align_widths, limit_to_range
from gui.gallery import StyleGallery
from gui.saved_settings_menu import SavedSettingsMenu
from nst_core.base.errors import StyleError
from plugin.engine.fast.style_library import find_styles

STATUS_CHARACTERS = 34
OUTPUT_FORMATS = (("", _("Each picture's own")), *((name, name.upper()) for name in ("jpg", "png", "tif", "webp")))


def ask(procedure: Gimp.Procedure, config: Gimp.ProcedureConfig) -> bool:
    """Let the user change ``config``. Return False if the user cancels."""
    GimpUi.init("neural-style")
    dialog = FolderDialog(procedure, config)
    try:
        return dialog.run()
    finally:
        dialog.close()


class FolderDialog:
    """The dialog: the styles on the left; on the right the folders and the settings, and what will be painted."""

    def __init__(self, procedure: Gimp.Procedure, config: Gimp.ProcedureConfig) -> None:
        self._config = config
        # The dialog paints in trained styles, which take seconds for a picture.
        config.set_property("style-image", None)
        self._dialog = GimpUi.ProcedureDialog.new(procedure, config, _("Neural Style: Paint a Folder"))
        self._dialog.set_ok_label(_("_Paint"))
        self._saved_settings = SavedSettingsMenu(self._dialog, procedure, config, pictures=False)
        self._gallery = StyleGallery(config, self._accept)
        self._detail = DetailScale(config)
        # A long sentence wraps rather than widen the dialog.
        self._status = Gtk.Label(
            xalign=0,
            yalign=0,
            wrap=True,
            wrap_mode=Pango.WrapMode.WORD_CHAR,
            max_width_chars=STATUS_CHARACTERS,
            selectable=True,
            can_focus=False,
        )

    def run(self) -> bool:
        """Show the dialog. Return False if the user cancels."""
        self._lay_out()
        for name in (*FOLDER_SETTINGS, *SETTINGS):
            self._config.connect(f"notify::{name}", self._update)
        self._update()
        if not self._dialog.run():
            return False
        self._saved_settings.remember_style()
        return True

    def close(self) -> None:
        """Close the dialog."""
        self._dialog.destroy()

    def _accept(self) -> None:
        if self._dialog.get_widget_for_response(Gtk.ResponseType.OK).get_sensitive():
            self._dialog.response(Gtk.ResponseType.OK)

    def _update(self, *_: object) -> None:
        """Say what will be painted, or what prevents it."""
        self._detail.show_styles(self._gallery.find_styles())
        ready, text = self._describe()
        self._status.set_text(showable(text))
        self._dialog.set_response_sensitive(Gtk.ResponseType.OK, ready)

    def _describe(self) -> tuple[bool, str]:
        """Return whether there is something to paint, and what."""
        if any(self._config.get_property(name) is None for name in ("folder", "output-folder")):
            return False, _("Choose the folder with the pictures, and a folder for the paintings.")
        try:
            styles = find_styles(self._config.get_property("style") or "")
            plan = folders.plan_folder(self._config, "+".join(style.name for style in styles))
        except StyleError as error:
            return False, str(error)
        sentences = [
            ngettext("{count} file will be painted.", "{count} files will be painted.", len(plan.tasks)).format(
                count=len(plan.tasks)
            )
        ]
        if plan.skipped:
            text = ngettext(
                "{count} picture is already painted.", "{count} pictures are already painted.", len(plan.skipped)
            )
            sentences.append(text.format(count=len(plan.skipped)))
        return bool(plan.tasks), " ".join([*sentences, *plan.notes])

    def _lay_out(self) -> None:
        dialog = self._dialog
        for name in ("strength", "stroke-size"):
            scale = dialog.get_widget(name, GimpUi.SpinScale)
            limit_to_range(scale, RANGES[name])
            scale.unset_scale_limits()
        format_row = add_labelled_row(dialog, "format", _("For_mat"), _build_format_combo(self._config))
        labels = [dialog.get_widget(name, GObject.TYPE_NONE).get_label_widget() for name in ("folder", "output-folder")]
        labels += [dialog.get_widget("name", GObject.TYPE_NONE).get_label(), format_row.get_children()[0]]
        for label in labels:
            label.set_xalign(0)
        align_widths(*labels)
        names = ("folder", "output-folder", "subfolders", "name", "format-row", "overwrite")
        controls = dialog.fill_box("controls", [*names, "strength", "stroke-size", "full-resolution", "keep-colors"])
        controls.set_spacing(6)
        controls.pack_start(self._detail.widget, False, False, 0)
        controls.reorder_child(self._detail.widget, len(names) + 1)  # below the strength
        controls.pack_end(self._status, True, True, SPACING)
        self._status.show()
        columns = dialog.fill_box("columns", ["controls"])
        columns.set_orientation(Gtk.Orientation.HORIZONTAL)
        columns.set_spacing(2 * SPACING)
        columns.pack_start(self._gallery, False, False, 0)
        columns.reorder_child(self._gallery, 0)
        dialog.fill(["columns"])


def _build_format_combo(config: Gimp.ProcedureConfig) -> Gtk.ComboBox:
    model = Gtk.ListStore(str, str)
    for value in OUTPUT_FORMATS:
        model.append(value)
    return GimpUi.prop_string_combo_box_new(config, "format", model, 0, 1)
