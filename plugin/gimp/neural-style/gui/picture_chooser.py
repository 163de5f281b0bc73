"""A large button that shows a picture, opens the file chooser, and takes pictures that are dropped on it."""

from __future__ import annotations

from typing import Any

from gi.repository import Gdk, Gimp, Gio, Gtk, Pango
from translation import _

from gui.pixbufs import read_small_picture

PICTURE_WIDTH, PICTURE_HEIGHT = 360, 140
CHOOSER_PREVIEW_SIDE = 192


class PictureChooser(Gtk.Button):
    """Chooses the file of the setting ``name``."""

    def __init__(self, config: Gimp.ProcedureConfig, name: str) -> None:
        super().__init__()
        self._config, self._name = config, name
        self._image = Gtk.Image(no_show_all=True)
        self._label = Gtk.Label(
            wrap=True, justify=Gtk.Justification.CENTER, ellipsize=Pango.EllipsizeMode.MIDDLE, max_width_chars=40
        )
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, margin=6, valign=Gtk.Align.CENTER)
        box.pack_start(self._image, False, False, 0)
        box.pack_start(self._label, False, False, 0)
        self.add(box)
        self.set_size_request(-1, PICTURE_HEIGHT // 2)
        self.drag_dest_set(Gtk.DestDefaults.ALL, [], Gdk.DragAction.COPY)
        self.drag_dest_add_uri_targets()
        self.connect("drag-data-received", self._on_drop)
        self.connect("clicked", self._on_click)
        config.connect(f"notify::{name}", self._show_file)
        self._show_file()
        self.show_all()

    def _show_file(self, *_args: object) -> None:
        file: Gio.File | None = self._config.get_property(self._name)
        pixbuf = read_small_picture(file, PICTURE_WIDTH, PICTURE_HEIGHT)
        self._image.set_from_pixbuf(pixbuf)
        self._image.set_visible(pixbuf is not None)
        text = _("Choose a picture, or drop one here") if file is None else file.get_parse_name()
        self._label.set_text(text if file is None else text.rpartition("/")[2])
        self.get_accessible().set_name(_("The style picture: {file}").format(file=text))

    def _on_drop(self, *arguments: Any) -> None:
        _button, _context, _x, _y, data, *_others = arguments
        for uri in (data.get_uris() or [])[:1]:
            self._config.set_property(self._name, Gio.File.new_for_uri(uri))

    def _on_click(self, _button: Gtk.Widget) -> None:
        chooser = Gtk.FileChooserDialog(
            title=_("Choose a picture"), transient_for=self.get_toplevel(), action=Gtk.FileChooserAction.OPEN
        )
        chooser.add_button(_("_Cancel"), Gtk.ResponseType.CANCEL)
        chooser.add_button(_("_Open"), Gtk.ResponseType.ACCEPT)
        chooser.set_default_response(Gtk.ResponseType.ACCEPT)
        pictures, everything = Gtk.FileFilter(), Gtk.FileFilter()
        pictures.set_name(_("Pictures"))
        pictures.add_mime_type("image/*")
        everything.set_name(_("All files"))
        everything.add_pattern("*")
        for file_filter in (pictures, everything):
            chooser.add_filter(file_filter)
        preview = Gtk.Image()
        preview.set_size_request(CHOOSER_PREVIEW_SIDE, -1)
        chooser.set_preview_widget(preview)
        chooser.connect("update-preview", _show_preview, preview)
        if file := self._config.get_property(self._name):
            chooser.set_file(file)
        try:
            if chooser.run() == Gtk.ResponseType.ACCEPT:
                self._config.set_property(self._name, chooser.get_file())
        finally:
            chooser.destroy()


def _show_preview(chooser: Gtk.FileChooserDialog, preview: Gtk.Image) -> None:
    pixbuf = read_small_picture(chooser.get_preview_file(), CHOOSER_PREVIEW_SIDE, CHOOSER_PREVIEW_SIDE)
    preview.set_from_pixbuf(pixbuf)
    chooser.set_preview_widget_active(pixbuf is not None)
