"""The style pictures that the user has chosen so far, as tiles to choose one again."""

from __future__ import annotations

from contextlib import suppress

from gi.repository import Gdk, Gimp, Gio, GLib, Gtk, Pango
from translation import _

from gui.gallery import THUMBNAIL_HEIGHT, TILE_MARGIN, TILE_WIDTH, TILES_PER_ROW
from gui.pixbufs import read_small_picture
from nst_core.base.errors import StyleError
from plugin.engine.instant.own_pictures import add_picture, own_pictures, remove_picture

REMOVE = _("Remove from your pictures; the file stays")


class PictureTiles(Gtk.Box):
    """Shows the user's pictures; the one that is selected and the setting ``style-image`` follow each other.

    A picture that is chosen anywhere else becomes one of them. Several of these widgets may show them.
    """

    def __init__(self, config: Gimp.ProcedureConfig) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6, no_show_all=True)
        self._config = config
        self._uris: list[str] = []
        self._loading = 0
        title = Gtk.Label(label=_("Your pictures"), xalign=0, attributes=Pango.AttrList.from_string("0 -1 weight bold"))
        self._grid = Gtk.FlowBox(
            selection_mode=Gtk.SelectionMode.SINGLE,
            homogeneous=True,
            min_children_per_line=TILES_PER_ROW,
            max_children_per_line=TILES_PER_ROW,
            valign=Gtk.Align.START,
        )
        self._grid.get_accessible().set_name(_("Your pictures"))
        for widget in (title, self._grid):
            self.pack_start(widget, False, False, 0)
            widget.show()
        self._grid.connect("child-activated", lambda _, tile: self._choose(tile))
        self._grid.connect("key-press-event", self._on_key)
        self._last: Gio.File | None = config.get_property("style-image")
        handler = config.connect("notify::style-image", self._on_picture)
        self.connect("destroy", self._on_destroy, handler)
        # Another of these widgets may have removed one meanwhile.
        self.connect("map", lambda _: self._reload())
        self._reload()

    def _choose(self, tile: Gtk.FlowBoxChild) -> None:
        self._config.set_property("style-image", Gio.File.new_for_uri(tile.get_name()))

    def _remove(self, tile: Gtk.FlowBoxChild) -> None:
        with suppress(StyleError):  # what cannot be written stays on the list, where the user sees it
            remove_picture(tile.get_name())
        self._reload()

    def _on_picture(self, *_: object) -> None:
        """Add the picture that was chosen, and select its tile."""
        file: Gio.File | None = self._config.get_property("style-image")
        # The last one comes back with its page, even if the user has removed it meanwhile.
        again = file is not None and self._last is not None and file.equal(self._last)
        if file is not None and not again:
            self._last = file
            if file.query_exists(None):
                with suppress(StyleError):  # it is chosen, even if that cannot be remembered
                    add_picture(file.get_uri())
        if own_pictures() != self._uris:
            self._reload()
        self._select(file)

    def _select(self, file: Gio.File | None) -> None:
        self._grid.unselect_all()
        for tile in self._grid.get_children():
            if file is not None and tile.get_name() == file.get_uri():
                self._grid.select_child(tile)

    def _reload(self) -> None:
        """Show the pictures whose files are there now."""
        self._uris = own_pictures()
        for tile in self._grid.get_children():
            tile.destroy()
        files = [file for file in map(Gio.File.new_for_uri, self._uris) if file.query_exists(None)]
        waiting = []
        for file in files:
            tile, image = self._build_tile(file)
            self._grid.add(tile)
            tile.show_all()
            waiting.append((file, image))
        if self._loading:
            GLib.source_remove(self._loading)
        # One at a time: to read a picture takes a moment, in which the dialog must not stop.
        self._loading = GLib.idle_add(self._load_next, waiting, priority=GLib.PRIORITY_LOW) if waiting else 0
        self._select(self._config.get_property("style-image"))
        self.set_visible(bool(files))  # last: it may reload them

    def _load_next(self, waiting: list[tuple[Gio.File, Gtk.Image]]) -> bool:
        file, image = waiting.pop(0)
        image.set_from_pixbuf(read_small_picture(file, TILE_WIDTH, THUMBNAIL_HEIGHT))
        if waiting:
            return GLib.SOURCE_CONTINUE
        self._loading = 0
        return GLib.SOURCE_REMOVE

    def _build_tile(self, file: Gio.File) -> tuple[Gtk.FlowBoxChild, Gtk.Image]:
        name = file.get_parse_name().rpartition("/")[2]
        image = Gtk.Image()
        image.set_size_request(TILE_WIDTH, THUMBNAIL_HEIGHT)
        remove = Gtk.Button.new_from_icon_name("window-close-symbolic", Gtk.IconSize.MENU)
        remove.set_properties(halign=Gtk.Align.END, valign=Gtk.Align.START, tooltip_text=REMOVE, can_focus=False)
        remove.get_accessible().set_name(REMOVE)
        overlay = Gtk.Overlay()
        overlay.add(image)
        overlay.add_overlay(remove)
        label = Gtk.Label(label=name, ellipsize=Pango.EllipsizeMode.MIDDLE, width_chars=1)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=2, margin=TILE_MARGIN)
        box.pack_start(overlay, False, False, 0)
        box.pack_start(label, False, False, 0)
        tile = Gtk.FlowBoxChild(name=file.get_uri(), tooltip_text=file.get_parse_name())
        tile.add(box)
        tile.get_accessible().set_name(name)
        remove.connect("clicked", lambda _: self._remove(tile))
        return tile, image

    def _on_key(self, _grid: Gtk.Widget, event: Gdk.EventKey) -> bool:
        selected = self._grid.get_selected_children()
        if event.keyval != Gdk.KEY_Delete or not selected:
            return Gdk.EVENT_PROPAGATE
        self._remove(selected[0])
        return Gdk.EVENT_STOP

    def _on_destroy(self, _widget: Gtk.Widget, handler: int) -> None:
        self._config.disconnect(handler)
        if self._loading:
            GLib.source_remove(self._loading)
            self._loading = 0
