"""The gallery: every style with its picture, title and artist, and a field to search in them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from gi.repository import Gdk, GdkPixbuf, Gimp, GLib, Gtk, Pango
from translation import _, ngettext

from nst_core.base.errors import StyleError
from nst_core.style_file import Style
from plugin.engine.fast.style_library import Library, find_styles

TILE_WIDTH, THUMBNAIL_HEIGHT = 112, 75
TILES_PER_ROW, GALLERY_HEIGHT = 3, 280
STEPS = {
    Gdk.KEY_Left: -1,
    Gdk.KEY_Right: 1,
    Gdk.KEY_Up: -TILES_PER_ROW,
    Gdk.KEY_Down: TILES_PER_ROW,
    Gdk.KEY_Home: -sys.maxsize,
    Gdk.KEY_End: sys.maxsize,
}


def gallery(config: Gimp.ProcedureConfig, library: Library, accept: Callable[[], None]) -> Gtk.Box:
    """The styles of ``library``, of which the chosen one and ``config``'s style follow each other.

    ``accept`` is called when a style is double-clicked, or chosen and Enter pressed.
    """
    styles = list(library.styles.values())
    try:
        find_styles(config.get_property("style") or "")
    except StyleError:  # a style of the last run may be gone by now
        if styles:
            config.set_property("style", styles[0].name)

    grid = Gtk.FlowBox(
        selection_mode=Gtk.SelectionMode.BROWSE,
        activate_on_single_click=False,
        homogeneous=True,
        min_children_per_line=TILES_PER_ROW,
        max_children_per_line=TILES_PER_ROW,
        valign=Gtk.Align.START,
    )
    grid.get_accessible().set_name(_("Styles"))
    tiles = {style.name: _tile(style) for style in styles}
    for tile in tiles.values():
        grid.add(tile)
    scrolled = Gtk.ScrolledWindow(
        hscrollbar_policy=Gtk.PolicyType.NEVER,
        min_content_height=GALLERY_HEIGHT,
        overlay_scrolling=False,
        shadow_type=Gtk.ShadowType.IN,
    )
    scrolled.add(grid)
    grid.set_focus_vadjustment(scrolled.get_vadjustment())

    search = Gtk.SearchEntry(placeholder_text=_("Title or artist"))
    label = Gtk.Label(label=_("_Find a style"), use_underline=True, mnemonic_widget=search)
    field = Gtk.Box(spacing=6)
    field.pack_start(label, False, False, 0)
    field.pack_start(search, True, True, 0)

    nothing = Gtk.Label(label=_("No style has these words in its title or artist."), wrap=True)
    nothing.get_style_context().add_class("dim-label")
    pages = Gtk.Stack(vhomogeneous=True)
    pages.add_named(scrolled, "styles")
    pages.add_named(nothing, "nothing")

    box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
    box.pack_start(field, False, False, 0)
    box.pack_start(pages, True, True, 0)
    if remark := _remark(library):
        box.pack_start(remark, False, False, 0)
    box.show_all()

    def found() -> list[Gtk.FlowBoxChild]:
        words = search.get_text().casefold().split()
        return [tiles[style.name] for style in styles if all(word in _searched(style) for word in words)]

    def find(*_: object) -> None:
        hits = found()
        grid.set_filter_func(lambda tile: tile in hits)
        pages.set_visible_child_name("styles" if hits else "nothing")

    def go_to(tile: Gtk.FlowBoxChild) -> None:
        grid.select_child(tile)
        tile.grab_focus()

    def take_first(*_: object) -> None:
        for tile in found()[:1]:
            go_to(tile)

    def step(_: Gtk.Widget, event: Gdk.EventKey) -> bool:
        # The grid's own keys stop at the end of a row, and Home and End scroll without choosing.
        hits, chosen = found(), grid.get_selected_children()
        if event.keyval not in STEPS or not hits:
            return Gdk.EVENT_PROPAGATE
        at = hits.index(chosen[0]) if chosen and chosen[0] in hits else 0
        go_to(hits[min(max(at + STEPS[event.keyval], 0), len(hits) - 1)])
        return Gdk.EVENT_STOP

    def leave(*_: object) -> None:
        if search.get_text():
            search.set_text("")
        else:
            search.get_toplevel().close()

    def take(*_: object) -> None:
        for tile in grid.get_selected_children():
            config.set_property("style", tile.get_name())

    def follow(*_: object) -> None:
        tile = tiles.get(config.get_property("style"))
        if tile and not tile.is_selected():
            grid.select_child(tile)

    def go_to_chosen() -> bool:
        for tile in grid.get_selected_children():
            tile.grab_focus()
        return GLib.SOURCE_REMOVE

    grid.connect("key-press-event", step)
    search.connect("search-changed", find)
    search.connect("activate", take_first)
    search.connect("stop-search", leave)
    grid.connect("selected-children-changed", take)
    grid.connect("child-activated", lambda *_: accept())
    config.connect("notify::style", follow)
    follow()
    # From the start the arrow keys choose, and the chosen one is in sight.
    grid.connect_after("map", lambda _: GLib.idle_add(go_to_chosen))
    return box


def _tile(style: Style) -> Gtk.FlowBoxChild:
    picture = Gtk.Image.new_from_pixbuf(_thumbnail(style))
    picture.set_size_request(TILE_WIDTH, THUMBNAIL_HEIGHT)
    title = _line(style.title, Pango.AttrList.from_string("0 -1 scale 0.9"), lines=2)
    artist = _line(style.artist, Pango.AttrList.from_string("0 -1 scale 0.8"), lines=1)
    artist.get_style_context().add_class("dim-label")
    box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=2, margin=4, margin_bottom=6)
    for widget in (picture, title, artist):
        box.pack_start(widget, False, False, 0)
    about = "\n".join(filter(None, (style.title, ", ".join(filter(None, (style.artist, style.year))), style.licence)))
    tile = Gtk.FlowBoxChild(name=style.name, tooltip_text=about)
    tile.add(box)
    tile.get_accessible().set_name(", ".join(filter(None, (style.title, style.artist))))
    return tile


def _line(text: str, attributes: Pango.AttrList, lines: int) -> Gtk.Label:
    # A width in characters of 1 keeps a long title from widening its tile.
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


def _thumbnail(style: Style) -> GdkPixbuf.Pixbuf | None:
    loader = GdkPixbuf.PixbufLoader()
    try:
        loader.write(style.thumbnail)
        loader.close()
    except GLib.Error:
        return None
    whole = loader.get_pixbuf()
    scale = min(TILE_WIDTH / whole.get_width(), THUMBNAIL_HEIGHT / whole.get_height())
    size = (max(1, round(extent * scale)) for extent in (whole.get_width(), whole.get_height()))
    return whole.scale_simple(*size, GdkPixbuf.InterpType.BILINEAR)


def _searched(style: Style) -> str:
    return f"{style.title} {style.artist} {style.year} {style.name}".casefold()


def _remark(library: Library) -> Gtk.Label | None:
    """What keeps a style from being shown, if anything does."""
    if not library.styles:
        text = _("No style is installed; run install.py again.")
    elif library.left_out:
        text = _files_left_out(library.left_out)
    else:
        return None
    return Gtk.Label(label=text, tooltip_text="\n".join(library.left_out), wrap=True, xalign=0)


def _files_left_out(reasons: Sequence[str]) -> str:
    return ngettext(
        "{count} file in the style folders cannot be used; point here to see why.",
        "{count} files in the style folders cannot be used; point here to see why.",
        len(reasons),
    ).format(count=len(reasons))
