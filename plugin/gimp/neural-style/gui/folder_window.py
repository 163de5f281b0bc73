"""The windows of a folder run: its progress, and the report at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gi.repository import Gimp, GimpUi, Gio, GLib, Gtk, Pango
from translation import _, ngettext

from gui.progress_window import build_bar, format_duration
from plugin.engine.progress import Progress

WINDOW_WIDTH, REPORT_HEIGHT = 460, 180
OPEN_RESPONSE = 1


class FolderWindow:
    """A folders.FolderMonitor: a window with a progress bar, the time left and Cancel.

    Attributes:
        cancelled: whether the user cancelled.
    """

    stopped = False
    layers: Sequence[int] = ()

    def __init__(self) -> None:
        self.cancelled = False
        self._number, self._count, self._start = 0, 0, time.monotonic()
        self._text = Gtk.Label(xalign=0, ellipsize=Pango.EllipsizeMode.MIDDLE)
        self._left = Gtk.Label(xalign=0)
        self._left.get_style_context().add_class("dim-label")
        self._bar = build_bar()
        self._dialog = Gtk.Dialog(title=_("Neural Style: Paint a Folder"), default_width=WINDOW_WIDTH)
        self._dialog.add_button(_("_Cancel"), Gtk.ResponseType.CANCEL)
        self._dialog.connect("response", self._on_response)
        box = self._dialog.get_content_area()
        box.set_spacing(6)
        box.set_border_width(12)
        for widget in (self._text, self._bar, self._left):
            box.pack_start(widget, False, False, 0)
        self._dialog.show_all()

    def begin(self, file: str, number: int, count: int) -> None:
        """Show that a picture begins."""
        self._number, self._count = number, count
        text = _("{file} ({number} of {count})")
        self._text.set_text(text.format(file=file, number=number, count=count))
        self._show_fraction(0.0)
        if number > 1:
            seconds = (time.monotonic() - self._start) / (number - 1) * (count - number + 1)
            self._left.set_text(_("{duration} left").format(duration=format_duration(seconds)))
        while Gtk.events_pending():  # GIMP opens and saves files in this thread
            Gtk.main_iteration()

    def show(self, progress: Progress) -> None:
        """Show how far the picture is."""
        self._show_fraction(progress.fraction)

    def close(self) -> None:
        """Stay open for the next picture."""

    def finish(self) -> None:
        """Close the window."""
        self._dialog.destroy()

    def _show_fraction(self, fraction: float) -> None:
        self._bar.set_fraction((self._number - 1 + fraction) / max(1, self._count))

    def _on_response(self, *_: object) -> None:
        self.cancelled = True
        self._dialog.hide()


def show_report(painted: int, unfinished: int, sentences: Sequence[str], output: str) -> None:
    """Show how many pictures were painted, and a sentence for each of the others, until the user closes the window."""
    text = ngettext("{count} picture was painted.", "{count} pictures were painted.", painted)
    summary = [text.format(count=painted)]
    if sentences:
        text = ngettext("{count} picture was left out:", "{count} pictures were left out:", len(sentences))
        summary.append(text.format(count=len(sentences)))
    if unfinished:
        text = ngettext("{count} picture was not started.", "{count} pictures were not started.", unfinished)
        summary.insert(1, text.format(count=unfinished))
    dialog = Gtk.Dialog(title=f"Neural Style: {_('Painted')}", default_width=WINDOW_WIDTH)
    dialog.add_button(_("_Open the folder"), OPEN_RESPONSE)
    dialog.add_button(_("_Close"), Gtk.ResponseType.CLOSE)
    dialog.set_default_response(Gtk.ResponseType.CLOSE)
    box = dialog.get_content_area()
    box.set_spacing(6)
    box.set_border_width(12)
    box.pack_start(Gtk.Label(label=" ".join(summary), xalign=0, wrap=True), False, False, 0)
    if sentences:
        box.pack_start(_build_list(sentences), True, True, 0)
    dialog.show_all()
    GimpUi.window_set_transient(dialog)
    try:
        while dialog.run() == OPEN_RESPONSE:
            try:
                Gio.AppInfo.launch_default_for_uri(Gio.File.new_for_path(output).get_uri(), None)
            except GLib.Error as error:
                Gimp.message(error.message)
    finally:
        dialog.destroy()


def _build_list(sentences: Sequence[str]) -> Gtk.ScrolledWindow:
    view = Gtk.TextView(editable=False, cursor_visible=False, wrap_mode=Gtk.WrapMode.WORD_CHAR)
    view.set_pixels_below_lines(4)
    for side in ("left", "right", "top", "bottom"):
        getattr(view, f"set_{side}_margin")(6)
    view.get_buffer().set_text("\n".join(sentences))
    scrolled = Gtk.ScrolledWindow(min_content_height=REPORT_HEIGHT, shadow_type=Gtk.ShadowType.IN)
    scrolled.add(view)
    return scrolled
