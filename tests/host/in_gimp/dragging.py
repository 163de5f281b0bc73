"""A window to drag a file from."""

from __future__ import annotations

from pathlib import Path


def drag_file(path: str, title: str) -> bool:
    """Open a window that drags a file wherever it is pressed, and return whether it was dropped somewhere."""
    import gi

    gi.require_version("Gtk", "3.0")
    from gi.repository import Gdk, Gtk

    dropped = []
    area = Gtk.EventBox()
    area.drag_source_set(Gdk.ModifierType.BUTTON1_MASK, [], Gdk.DragAction.COPY)
    area.drag_source_add_uri_targets()
    area.connect("drag-data-get", lambda _area, _context, data, *_: data.set_uris([Path(path).as_uri()]))
    area.connect("drag-end", lambda _area, context: dropped.append(context.get_selected_action()))
    window = Gtk.Window(title=title, default_width=80, default_height=60)
    window.add(area)
    window.show_all()
    while not dropped:
        Gtk.main_iteration()
    window.destroy()
    return bool(dropped[0])
