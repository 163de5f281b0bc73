"""The gallery: every style with its thumbnail, title and artist, and a field to search for them."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence

from gi.repository import Gdk, GdkPixbuf, Gimp, Gio, GLib, Gtk, Pango
from translation import _, ngettext

from gui.balance_row import BalanceRow
from gui.style_menu import StyleMenu
from nst_core.base.errors import StyleError
from nst_core.style_file import Style
from plugin.engine.fast.own_styles import read_favourites, write_favourites
from plugin.engine.fast.style_library import Library, find_styles, read_library

TILE_WIDTH, THUMBNAIL_HEIGHT = 112, 75
TILES_PER_ROW, TILE_MARGIN = 3, 4
# The least size of the gallery: one row of tiles. Without a width it would be as narrow as what the search leaves.
GALLERY_WIDTH, GALLERY_HEIGHT = TILES_PER_ROW * (TILE_WIDTH + 4 * TILE_MARGIN) + 16, 120
EVEN = 0.5  # the share of a second style
TILE_STEPS = {
    Gdk.KEY_Left: -1,
    Gdk.KEY_Right: 1,
    Gdk.KEY_Up: -TILES_PER_ROW,
    Gdk.KEY_Down: TILES_PER_ROW,
    Gdk.KEY_Home: -sys.maxsize,
    Gdk.KEY_End: sys.maxsize,
}


class StyleGallery(Gtk.Box):
    """Shows the styles of a library; the one or two that are selected and the setting ``style`` follow each other.

    Args:
        config: the filter's settings.
        on_accept: called when the user double-clicks a style or presses Enter on it.
        pictures: the user's own pictures, which are shown below the styles; None if only styles can be chosen.
    """

    def __init__(
        self, config: Gimp.ProcedureConfig, on_accept: Callable[[], None], pictures: Gtk.Widget | None = None
    ) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._config, self._pictures = config, pictures
        self._library = Library({}, [])
        self._styles: list[Style] = []
        self._tiles: dict[str, Gtk.FlowBoxChild] = {}
        self._favourites = read_favourites()
        self._remark = Gtk.Label(wrap=True, xalign=0, no_show_all=True)
        self._grid = self._build_grid()
        self._selection_handler = self._grid.connect("selected-children-changed", self._on_selection)
        self._search = Gtk.SearchEntry(placeholder_text=_("Title or artist"))
        self._pages = self._build_pages()
        # The names of the selected styles, in the order in which they were selected, and the second one's share.
        self._chosen: list[str] = []
        self._share = EVEN
        self._balance = BalanceRow(self._on_balance)
        self.pack_start(self._build_search_row(), False, False, 0)
        self.pack_start(self._pages, True, True, 0)
        self.pack_start(self._balance, False, False, 0)
        self.pack_start(self._remark, False, False, 0)
        self.show_all()
        self.reload()

        self._search.connect("search-changed", self._on_search)
        self._search.connect("activate", self._on_search_enter)
        self._search.connect("stop-search", self._on_search_escape)
        self._grid.connect("key-press-event", self._on_key)
        self._grid.connect("child-activated", lambda *_: on_accept())
        config.connect("notify::style", self._on_style)
        # The arrow keys work at once, and the selected style is visible.
        self._grid.connect_after("map", lambda _: GLib.idle_add(self._focus_selected))

    @property
    def chosen(self) -> list[Style]:
        """The selected styles, one or two, or none if the setting names others."""
        return [style for name in self._chosen for style in self._styles if style.name == name]

    def find_styles(self) -> dict[Style, float]:
        """Return the styles of the setting with their shares, or none if there is no such style."""
        name = self._config.get_property("style") or ""
        if name in self._library.styles:
            return {self._library.styles[name]: 1.0}
        try:
            return find_styles(name)  # a mixture, or a script's file from elsewhere
        except StyleError:
            return {}

    def reload(self) -> None:
        """Show the styles that are installed now, the favourites first."""
        library = self._library = read_library()
        self._styles = sorted(library.styles.values(), key=lambda style: not self.is_favourite(style))
        with self._grid.handler_block(self._selection_handler):
            for tile in self._grid.get_children():
                tile.destroy()
            self._tiles = {style.name: _build_tile(style, self.is_favourite(style)) for style in self._styles}
            for tile in self._tiles.values():
                self._grid.add(tile)
                tile.show_all()
        self._replace_missing_style()
        text = _describe_problems(library)
        self._remark.set_text(text)
        self._remark.set_tooltip_text("\n".join(library.left_out))
        self._remark.set_visible(bool(text))
        self._on_style()

    def is_favourite(self, style: Style) -> bool:
        """Return whether the user likes a style best."""
        return style.name in self._favourites

    def toggle_favourite(self, style: Style) -> None:
        """Make a style a favourite, or no longer one. Raises StyleError if that cannot be remembered."""
        names = [name for name in self._favourites if name != style.name]
        if not self.is_favourite(style):
            names.append(style.name)
        write_favourites(names)
        self._favourites = names
        self.reload()

    def choose(self, style: Style) -> None:
        """Choose a style alone."""
        self._config.set_property("style", style.name)

    @property
    def takes_pictures(self) -> bool:
        """Whether a picture can be chosen as the style."""
        return self._pictures is not None

    def choose_picture(self, file: Gio.File) -> None:
        """Choose the style of a picture."""
        self._config.set_property("style-image", file)

    def choose_any(self) -> None:
        """Choose another style at random."""
        others = [style.name for style in self._styles if style.name not in self._chosen]
        if others:
            self._config.set_property("style", random.choice(others))

    def _replace_missing_style(self) -> None:
        """Choose the first style if the one that GIMP remembers no longer exists."""
        try:
            find_styles(self._config.get_property("style") or "")
        except StyleError:
            if self._styles:
                self._config.set_property("style", self._styles[0].name)

    def _build_grid(self) -> Gtk.FlowBox:
        grid = Gtk.FlowBox(
            selection_mode=Gtk.SelectionMode.MULTIPLE,
            activate_on_single_click=False,
            homogeneous=True,
            min_children_per_line=TILES_PER_ROW,
            max_children_per_line=TILES_PER_ROW,
            valign=Gtk.Align.START,
        )
        grid.get_accessible().set_name(_("Styles"))
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
        content = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        content.pack_start(self._grid, False, False, 0)
        if self._pictures:
            content.pack_start(self._pictures, False, False, 0)
        scrolled.add(content)
        self._grid.set_focus_vadjustment(scrolled.get_vadjustment())
        no_match = Gtk.Label(label=_("No style matches your search."), wrap=True)
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
        row.pack_start(StyleMenu(self), False, False, 0)
        return row

    def _matching_tiles(self) -> list[Gtk.FlowBoxChild]:
        """Return the tiles of the styles that have every word of the search, in the order shown."""
        words = self._search.get_text().casefold().split()
        return [
            self._tiles[style.name] for style in self._styles if all(word in _searchable_text(style) for word in words)
        ]

    def _select(self, tile: Gtk.FlowBoxChild) -> None:
        """Select a style alone."""
        self._config.set_property("style", tile.get_name())
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
        if self._pictures:
            self._pictures.set_visible(not self._search.get_text())

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
        if event.keyval not in TILE_STEPS or not tiles or event.state & Gdk.ModifierType.CONTROL_MASK:
            return Gdk.EVENT_PROPAGATE
        index = tiles.index(selected[0]) if selected and selected[0] in tiles else 0
        self._select(tiles[min(max(index + TILE_STEPS[event.keyval], 0), len(tiles) - 1)])
        return Gdk.EVENT_STOP

    def _on_selection(self, *_: object) -> None:
        selected = [tile.get_name() for tile in self._grid.get_selected_children()]
        chosen = [name for name in self._chosen if name in selected]
        added = [name for name in selected if name not in chosen]
        if added and not chosen:
            self._share = EVEN
        chosen = [*chosen[:1], *added[-1:]] if added and chosen else chosen or added[-1:] or self._chosen[:1]
        self._set_style(chosen)

    def _on_balance(self, share: float) -> None:
        self._share = share
        self._set_style(self._chosen)

    def _set_style(self, names: Sequence[str]) -> None:
        """Choose one style, or a mixture of two."""
        style = names[0] if len(names) == 1 else f"{names[0]}:{1 - self._share:.2f},{names[1]}:{self._share:.2f}"
        if style == self._config.get_property("style"):
            self._on_style()  # the selection may differ
        else:
            self._config.set_property("style", style)

    def _on_style(self, *_: object) -> None:
        """Show the styles that were chosen here or elsewhere, such as in saved settings."""
        mixture = self._read_mixture()
        self._chosen = list(mixture)
        self._share = mixture[self._chosen[1]] if len(mixture) == 2 else EVEN
        tiles = [self._tiles[name] for name in self._chosen]
        if not all(tile in self._matching_tiles() for tile in tiles):
            self._search.set_text("")  # they must not be hidden
        with self._grid.handler_block(self._selection_handler):
            self._grid.unselect_all()
            for tile in tiles:
                self._grid.select_child(tile)
        titles = [next(style.title for style in self._styles if style.name == name) for name in self._chosen]
        self._balance.show_mixture((titles[0], titles[1]) if len(titles) == 2 else None, self._share)
        for tile in tiles[-1:]:
            GLib.idle_add(self._reveal, tile)

    def _read_mixture(self) -> dict[str, float]:
        """Return the names and shares of the chosen styles, or none if the gallery cannot show them."""
        try:
            shares = {style.name: share for style, share in find_styles(self._config.get_property("style")).items()}
        except StyleError:
            return {}
        return shares if len(shares) <= 2 and shares.keys() <= self._tiles.keys() else {}


def _build_tile(style: Style, favourite: bool) -> Gtk.FlowBoxChild:
    picture = Gtk.Image.new_from_pixbuf(_read_thumbnail(style))
    picture.set_size_request(TILE_WIDTH, THUMBNAIL_HEIGHT)
    title = _build_line(f"★ {style.title}" if favourite else style.title, "0 -1 scale 0.9")
    artist = _build_line(style.artist, "0 -1 scale 0.85, 0 -1 style italic")
    box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=2, margin=TILE_MARGIN, margin_bottom=6)
    for widget in (picture, title, artist):
        box.pack_start(widget, False, False, 0)
    about = "\n".join(filter(None, (style.title, ", ".join(filter(None, (style.artist, style.year))), style.licence)))
    tile = Gtk.FlowBoxChild(name=style.name, tooltip_text=about)
    tile.add(box)
    tile.get_accessible().set_name(", ".join(filter(None, (style.title, style.artist))))
    return tile


def _build_line(text: str, attributes: str) -> Gtk.Label:
    # One line each keeps the rows low; a width of one character keeps a long title from widening its tile.
    return Gtk.Label(
        label=text,
        attributes=Pango.AttrList.from_string(attributes),
        ellipsize=Pango.EllipsizeMode.END,
        width_chars=1,
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


def _describe_problems(library: Library) -> str:
    """Return a line that says which style files cannot be used, or nothing."""
    if not library.styles:
        return _("No style is installed; run install.py again.")
    return _describe_unusable_files(library.left_out) if library.left_out else ""


def _describe_unusable_files(reasons: Sequence[str]) -> str:
    return ngettext(
        "{count} file in the styles folders cannot be used; hover here to see why.",
        "{count} files in the styles folders cannot be used; hover here to see why.",
        len(reasons),
    ).format(count=len(reasons))
