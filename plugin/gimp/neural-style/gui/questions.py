"""Small windows that say or ask something."""

from __future__ import annotations

from gi.repository import Gtk
from showable import showable


def show_text(parent: Gtk.Widget, kind: Gtk.MessageType, text: str, more: str = "") -> None:
    """Show a text and, if there is more, smaller text that can be copied."""
    _run(_build(parent, kind, Gtk.ButtonsType.CLOSE, text, more))


def confirm(parent: Gtk.Widget, question: str) -> bool:
    """Return whether the user agrees."""
    return _run(_build(parent, Gtk.MessageType.QUESTION, Gtk.ButtonsType.OK_CANCEL, question)) == Gtk.ResponseType.OK


def ask_for_text(parent: Gtk.Widget, question: str, text: str) -> str | None:
    """Return what the user types, beginning with ``text``, or None if the user cancels."""
    dialog = _build(parent, Gtk.MessageType.QUESTION, Gtk.ButtonsType.OK_CANCEL, question)
    dialog.set_default_response(Gtk.ResponseType.OK)
    typed = Gtk.EntryBuffer(text=showable(text))  # outlives the window
    entry = Gtk.Entry(buffer=typed, activates_default=True)
    entry.get_accessible().set_name(question)
    dialog.get_message_area().pack_start(entry, False, False, 0)
    entry.show()
    return typed.get_text() if _run(dialog) == Gtk.ResponseType.OK else None


def _build(
    parent: Gtk.Widget, kind: Gtk.MessageType, buttons: Gtk.ButtonsType, text: str, more: str = ""
) -> Gtk.MessageDialog:
    dialog = Gtk.MessageDialog(
        transient_for=parent.get_toplevel(), modal=True, message_type=kind, buttons=buttons, text=showable(text)
    )
    if more:
        dialog.format_secondary_text(showable(more))
        for label in dialog.get_message_area().get_children():
            label.set_selectable(True)
    return dialog


def _run(dialog: Gtk.MessageDialog) -> int:
    try:
        return int(dialog.run())
    finally:
        dialog.destroy()
