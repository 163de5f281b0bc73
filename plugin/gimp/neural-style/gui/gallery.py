"""The gallery: every style with its thumbnail, title and artist, and a field to search for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from gi.repository import Gdk, GdkPixbuf, Gimp, GLib, Gtk, Pango
from translation import _, ngettext

from nst_core.base.errors import StyleError
from nst_core.style_file import Style
from plugin.engine.fast.style_library import Library, find_styles

TILE_WIDTH, THUMBNAIL_HEIGHT = 112, 75
TILES_PER_ROW, TILE_MARGIN = 3, 4
# The least size of the gallery: one row of tiles. Without a width it would be as narrow as what the search leaves.
GALLERY_WIDTH, GALLERY_HEIGHT = TILES_PER_ROW * (TILE_WIDTH + 4 * TILE_MARGIN) + 16, 120
TILE_STEPS = {
    Gdk.KEY_Left: -1,
    Gdk.KEY_Right: 1,
    Gdk.KEY_Up: -TILES_PER_ROW,
    Gdk.KEY_Down: TILES_PER_ROW,
    Gdk.KEY_Home: -sys.maxsize,
    Gdk.KEY_End: sys.maxsize,
}


class StyleGallery(Gtk.Box):
    """Shows the styles of a library; the selected one and the setting ``style`` follow each other.

    Args:
        config: the filter's settings.
        library: the styles to show, and the style files that cannot be used.
        on_accept: called when the user double-clicks a style or presses Enter on it.
    """

    def __init__(self, config: Gimp.ProcedureConfig, library: Library, on_accept: Callable[[], None]) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._config = config
        self._styles = list(library.styles.values())
        self._replace_missing_style()
        self._tiles = {style.name: _build_tile(style) for style in self._styles}
        self._grid = self._build_grid()
        self._search = Gtk.SearchEntry(placeholder_text=_("Title or artist"))
        self._pages = self._build_pages()
        self.pack_start(self._build_search_row(), False, False, 0)
        self.pack_start(self._pages, True, True, 0)
        if remark := _build_remark(library):
            self.pack_start(remark, False, False, 0)
        self.show_all()

        self._search.connect("search-changed", self._on_search)
        self._search.connect("activate", self._on_search_enter)
        self._search.connect("stop-search", self._on_search_escape)
        self._grid.connect("key-press-event", self._on_key)
        self._grid.connect("selected-children-changed", self._on_selection)
        self._grid.connect("child-activated", lambda *_: on_accept())
        config.connect("notify::style", self._on_style)
        self._on_style()
        # The arrow keys work at once, and the selected style is visible.
        self._grid.connect_after("map", lambda _: GLib.idle_add(self._focus_selected))

    def _replace_missing_style(self) -> None:
        """Choose the first style if the one that GIMP remembers no longer exists."""
        try:
            find_styles(self._config.get_property("style") or "")
        except StyleError:
            if self._styles:
                self._config.set_property("style", self._styles[0].name)

    def _build_grid(self) -> Gtk.FlowBox:
        grid = Gtk.FlowBox(
            selection_mode=Gtk.SelectionMode.BROWSE,
            activate_on_single_click=False,
            homogeneous=True,
            min_children_per_line=TILES_PER_ROW,
            max_children_per_line=TILES_PER_ROW,
            valign=Gtk.Align.START,
        )
        grid.get_accessible().set_name(_("Styles"))
        for tile in self._tiles.values():
            grid.add(tile)
        return grid

    def _build_pages(self) -> Gtk.Stack:
        """Build the page with the styles, and the one that says that the search matches none."""
        scrolled = Gtk.ScrolledWindow(
            hscrollbar_policy=Gtk.PolicyType.NEVER,
            min_content_width=GALLERY_WIDTH,
            min_content_height=GALLERY_HEIGHT,
            overlay_scrolling=False,
            shadow_type=Gtk.ShadowType.IN,
        )
        scrolled.add(self._grid)
        self._grid.set_focus_vadjustment(scrolled.get_vadjustment())
        no_match = Gtk.Label(label=_("No style has these words in its title or artist."), wrap=True)
        no_match.get_style_context().add_class("dim-label")
        pages = Gtk.Stack(vhomogeneous=True)
        pages.add_named(scrolled, "styles")
        pages.add_named(no_match, "no match")
        return pages

    def _build_search_row(self) -> Gtk.Box:
        label = Gtk.Label(label=_("_Find a style"), use_underline=True, mnemonic_widget=self._search)
        row = Gtk.Box(spacing=6)
        row.pack_start(label, False, False, 0)
        row.pack_start(self._search, True, True, 0)
        return row

    def _matching_tiles(self) -> list[Gtk.FlowBoxChild]:
        """Return the tiles of the styles that have every word of the search, in the order shown."""
        words = self._search.get_text().casefold().split()
        return [
            self._tiles[style.name] for style in self._styles if all(word in _searchable_text(style) for word in words)
        ]

    def _select(self, tile: Gtk.FlowBoxChild) -> None:
        self._grid.select_child(tile)
        tile.grab_focus()

    def _focus_selected(self) -> bool:
        for tile in self._grid.get_selected_children():
            tile.grab_focus()
            self._reveal(tile)
        return GLib.SOURCE_REMOVE

    def _reveal(self, tile: Gtk.FlowBoxChild) -> bool:
        """Scroll to a tile."""
        place = tile.get_allocation()
        self._grid.get_focus_vadjustment().clamp_page(place.y, place.y + place.height)
        return GLib.SOURCE_REMOVE

    def _on_search(self, *_: object) -> None:
        tiles = self._matching_tiles()
        self._grid.set_filter_func(lambda tile: tile in tiles)
        self._pages.set_visible_child_name("styles" if tiles else "no match")

    def _on_search_enter(self, *_: object) -> None:
        for tile in self._matching_tiles()[:1]:
            self._select(tile)

    def _on_search_escape(self, *_: object) -> None:
        if self._search.get_text():
            self._search.set_text("")
        else:
            self._search.get_toplevel().close()

    def _on_key(self, _: Gtk.Widget, event: Gdk.EventKey) -> bool:
        # The grid's own keys stop at the end of a row, and its Home and End scroll without selecting.
        tiles, selected = self._matching_tiles(), self._grid.get_selected_children()
        if event.keyval not in TILE_STEPS or not tiles:
            return Gdk.EVENT_PROPAGATE
        index = tiles.index(selected[0]) if selected and selected[0] in tiles else 0
        self._select(tiles[min(max(index + TILE_STEPS[event.keyval], 0), len(tiles) - 1)])
        return Gdk.EVENT_STOP

    def _on_selection(self, *_: object) -> None:
        for tile in self._grid.get_selected_children():
            self._config.set_property("style", tile.get_name())

    def _on_style(self, *_: object) -> None:
        tile = self._tiles.get(self._config.get_property("style"))
        if tile is None or tile.is_selected():
            return
        # It comes from elsewhere, such as saved settings, and must not be hidden.
        if tile not in self._matching_tiles():
            self._search.set_text("")
        self._grid.select_child(tile)
        GLib.idle_add(self._reveal, tile)


def _build_tile(style: Style) -> Gtk.FlowBoxChild:
    picture = Gtk.Image.new_from_pixbuf(_read_thumbnail(style))
    picture.set_size_request(TILE_WIDTH, THUMBNAIL_HEIGHT)
    title = _build_line(style.title, Pango.AttrList.from_string("0 -1 scale 0.9"), lines=2)
    artist = _build_line(style.artist, Pango.AttrList.from_string("0 -1 scale 0.8"), lines=1)
    artist.get_style_context().add_class("dim-label")
    box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=2, margin=TILE_MARGIN, margin_bottom=6)
    for widget in (picture, title, artist):
        box.pack_start(widget, False, False, 0)
    about = "\n".join(filter(None, (style.title, ", ".join(filter(None, (style.artist, style.year))), style.licence)))
    tile = Gtk.FlowBoxChild(name=style.name, tooltip_text=about)
    tile.add(box)
    tile.get_accessible().set_name(", ".join(filter(None, (style.title, style.artist))))
    return tile


def _build_line(text: str, attributes: Pango.AttrList, lines: int) -> Gtk.Label:
    # A width of one character keeps a long title from widening its tile.
    return Gtk.Label(
        label=text,
        attributes=attributes,
        lines=lines,
        wrap=True,
        wrap_mode=Pango.WrapMode.WORD_CHAR,
        ellipsize=Pango.EllipsizeMode.END,
        width_chars=1,
        justify=Gtk.Justification.CENTER,
    )


def _read_thumbnail(style: Style) -> GdkPixbuf.Pixbuf | None:
    if not style.thumbnail:
        return None
    loader = GdkPixbuf.PixbufLoader()
    try:
        loader.write(style.thumbnail)
        loader.close()
    except GLib.Error:
        return None
    picture = loader.get_pixbuf()
    if picture is None:
        return None
    sides = picture.get_width(), picture.get_height()
    scale = min(TILE_WIDTH / sides[0], THUMBNAIL_HEIGHT / sides[1])
    return picture.scale_simple(*(max(1, round(side * scale)) for side in sides), GdkPixbuf.InterpType.BILINEAR)


def _searchable_text(style: Style) -> str:
    return f"{style.title} {style.artist} {style.year} {style.name}".casefold()


def _build_remark(library: Library) -> Gtk.Label | None:
    """Build the line that says which style files cannot be used, or return None if all can."""
    if not library.styles:
        text = _("No style is installed; run install.py again.")
    elif library.left_out:
        text = _describe_unusable_files(library.left_out)
    else:
        return None
    return Gtk.Label(label=text, tooltip_text="\n".join(library.left_out), wrap=True, xalign=0)


def _describe_unusable_files(reasons: Sequence[str]) -> str:
    return ngettext(
        "{count} file in the style folders cannot be used; point here to see why.",
        "{count} files in the style folders cannot be used; point here to see why.",
        len(reasons),
    ).format(count=len(reasons))
