"""The window that shows an error. Needs no engine, because that may be what is missing."""

from __future__ import annotations

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")

import log
from gi.repository import Gdk, GimpUi, Gtk
from showable import showable
from translation import _

COPY_RESPONSE = 1


def show_error(sentence: str, details: str) -> None:
    """Show the sentence and the path of the log until the user closes the window; a button copies ``details``."""
    GimpUi.init("neural-style")
    place = showable(str(log.path()))
    if place not in sentence:
        sentence += "\n\n" + _("Log file: {place}").format(place=place)
    dialog = Gtk.MessageDialog(
        title="Neural Style",
        message_type=Gtk.MessageType.ERROR,
        text=_("Painting failed"),
        secondary_text=sentence,
    )
    copy = dialog.add_button(_("Copy _details"), COPY_RESPONSE)
    dialog.add_button(_("_Close"), Gtk.ResponseType.CLOSE)
    dialog.set_default_response(Gtk.ResponseType.CLOSE)
    GimpUi.window_set_transient(dialog)
    try:
        while dialog.run() == COPY_RESPONSE:
            clipboard = Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD)
            clipboard.set_text(details, -1)
            clipboard.store()  # the text belongs to this process, which ends with the window
            copy.set_label(_("Copied"))
    finally:
        dialog.destroy()
