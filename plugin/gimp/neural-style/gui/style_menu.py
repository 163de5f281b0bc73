"""The menu beside the search: add, rename and remove styles, show their cards, favourites, and a surprise."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gi.repository import Gdk, Gio, GLib, Gtk
from translation import _

from gui.questions import ask_for_text, confirm, show_text
from nst_core.base.errors import StyleError
from nst_core.style_file import Style
from plugin.engine.fast.own_styles import add_style, is_own, rename_style
from plugin.engine.machine import paths

if TYPE_CHECKING:
    from gui.gallery import StyleGallery


class StyleMenu(Gtk.MenuButton):
    """Changes the styles of a gallery, on which style files and, if it takes them, pictures can be dropped too."""

    def __init__(self, gallery: StyleGallery) -> None:
        super().__init__(tooltip_text=_("Styles: add, rename, remove, favourites"))
        self.get_accessible().set_name(_("Styles"))
        self._gallery = gallery
        menu = Gtk.Menu()
        self._add(menu, _("_Add a style file…"), self._choose_file)
        self._add(menu, _("_Open the styles folder"), self._open_folder)
        menu.append(Gtk.SeparatorMenuItem())
        # These are about the selected style.
        about = self._add(menu, _("A_bout this style…"), lambda: self._show_card(self._gallery.chosen[0]))
        self._favourite = self._add(menu, _("Add to _favourites"), self._toggle_favourite)
        rename = self._add(menu, _("Re_name…"), lambda: self._rename(self._gallery.chosen[0]))
        remove = self._add(menu, _("_Remove…"), lambda: self._remove(self._gallery.chosen[0]))
        self._about_one, self._about_own = (about, self._favourite), (rename, remove)
        menu.append(Gtk.SeparatorMenuItem())
        self._add(menu, _("_Surprise me"), gallery.choose_any)
        menu.show_all()
        menu.connect("show", self._on_show)
        self.set_popup(menu)
        gallery.drag_dest_set(Gtk.DestDefaults.ALL, [], Gdk.DragAction.COPY)
        gallery.drag_dest_add_uri_targets()
        gallery.connect("drag-data-received", self._on_drop)

    def _add(self, menu: Gtk.Menu, label: str, act: Callable[[], None]) -> Gtk.MenuItem:
        item = Gtk.MenuItem(label=label, use_underline=True)
        item.connect("activate", lambda _: self._try(act))
        menu.append(item)
        return item

    def _try(self, act: Callable[[], None]) -> None:
        """Do something, and show why it failed if it did."""
        try:
            act()
        except StyleError as error:
            show_text(self, Gtk.MessageType.ERROR, str(error))

    def _on_show(self, _menu: Gtk.Widget) -> None:
        chosen = self._gallery.chosen
        for item in self._about_one:
            item.set_sensitive(bool(chosen))
        for item in self._about_own:
            item.set_sensitive(bool(chosen) and is_own(chosen[0]))
        favourite = bool(chosen) and self._gallery.is_favourite(chosen[0])
        self._favourite.set_label(_("Remove from _favourites") if favourite else _("Add to _favourites"))

    def _on_drop(self, *arguments: Any) -> None:
        _gallery, _context, _x, _y, data, *_others = arguments
        for file in map(Gio.File.new_for_uri, data.get_uris() or []):
            path = file.get_path()
            if self._gallery.takes_pictures and not file.get_uri().lower().endswith(".onnx"):
                self._gallery.choose_picture(file)
            elif path:
                self._try(functools.partial(self._add_file, Path(path)))

    def _add_file(self, path: Path) -> None:
        styles = add_style(path)
        self._gallery.reload()
        self._gallery.choose(styles[0])

    def _choose_file(self) -> None:
        chooser = Gtk.FileChooserDialog(
            title=_("Add a style"), transient_for=self.get_toplevel(), action=Gtk.FileChooserAction.OPEN
        )
        chooser.add_button(_("_Cancel"), Gtk.ResponseType.CANCEL)
        chooser.add_button(_("_Open"), Gtk.ResponseType.ACCEPT)
        chooser.set_default_response(Gtk.ResponseType.ACCEPT)
        style_files = Gtk.FileFilter()
        style_files.set_name(_("Style files (.onnx)"))
        style_files.add_pattern("*.onnx")
        chooser.add_filter(style_files)
        answer, file = chooser.run(), chooser.get_file()
        chooser.destroy()
        if answer == Gtk.ResponseType.ACCEPT and file is not None and file.get_path():
            self._add_file(Path(file.get_path()))

    def _open_folder(self) -> None:
        folder = paths.user_styles_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            Gtk.show_uri_on_window(self.get_toplevel(), folder.as_uri(), Gtk.get_current_event_time())
        except (OSError, GLib.Error) as error:
            reason = getattr(error, "message", "") or str(error)
            text = _("The folder {folder} cannot be opened ({reason}); open it yourself.")
            raise StyleError(text.format(folder=folder, reason=reason)) from error

    def _toggle_favourite(self) -> None:
        self._gallery.toggle_favourite(self._gallery.chosen[0])

    def _rename(self, style: Style) -> None:
        title = ask_for_text(self, _("New title for the style"), style.title)
        if title is not None:
            rename_style(style, title)
            self._gallery.reload()

    def _remove(self, style: Style) -> None:
        text = _("Move the style file {file} to the wastebasket?").format(file=style.path.name)
        if style.count > 1:
            text += "\n" + _("It contains {count} styles; all of them will disappear from the gallery.").format(
                count=style.count
            )
        if not confirm(self, text):
            return
        try:
            Gio.File.new_for_path(str(style.path)).trash(None)
        except GLib.Error as error:
            text = _("{path} cannot be moved to the wastebasket ({reason}); delete it yourself.")
            raise StyleError(text.format(path=style.path, reason=error.message)) from error
        self._gallery.reload()

    def _show_card(self, style: Style) -> None:
        lines = [
            (_("Artist"), style.artist),
            (_("Year"), style.year),
            (_("Rights"), style.licence),
            (_("Name in scripts"), style.name),
            (_("Trained with"), ", ".join(f"{key} {value}" for key, value in style.trained.items())),
            (_("File"), str(style.path)),
        ]
        text = "\n".join(f"{label}: {value}" for label, value in lines if value)
        show_text(self, Gtk.MessageType.INFO, style.title, text)
