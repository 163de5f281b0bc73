"""The window in which the user watches a painting develop and may end it early."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from gi.repository import GimpUi, Gtk
from showable import showable
from translation import _

from gui.pixbufs import pixbuf_from_rgb
from gui.split_view import ShownPicture, SplitView
from gui.view_control import ViewControl
from plugin.engine.api import Engine
from plugin.engine.messages import OpenedLayer
from plugin.engine.process.remote import EngineEndedError
from plugin.engine.progress import Progress

STOP_RESPONSE = 1
# The time left is shown after this number of iterations.
TIMED_ITERATIONS = 3


class ProgressWindow:
    """A ProgressMonitor (see background.py) in a window of its own, which shows opened layers and closes them."""

    def __init__(self, engine: Engine, opened: Sequence[OpenedLayer]) -> None:
        self._engine = engine
        self.stopped = self.cancelled = False
        self.layers: Sequence[int] = [layer.number for layer in opened]
        self._photos = [
            pixbuf_from_rgb(engine.layer_photo(layer.number), layer.width, layer.height) for layer in opened
        ]
        self._shown: Progress | None = None
        # When the iterations of the current layer were first seen, and which one that was.
        self._start_seconds, self._start_iteration = 0.0, 0
        self._view = SplitView(_("The photo on the left, the painting as it develops on the right"))
        ViewControl(self._view)
        self._open_photo(0)
        self._bar = build_bar()
        self._text = Gtk.Label(xalign=0)
        self._numbers = Gtk.Label(xalign=0, selectable=True, margin_start=18)
        details = Gtk.Expander(label=_("_Details"), use_underline=True)
        details.add(self._numbers)
        self._dialog = GimpUi.Dialog(title="Neural Style", role="neural-style-watch", resizable=True)
        GimpUi.window_set_transient(self._dialog)
        self._dialog.add_button(_("_Cancel"), Gtk.ResponseType.CANCEL)
        self._stop_button = self._dialog.add_button(_("_Stop and keep this"), STOP_RESPONSE)
        self._dialog.connect("response", self._on_response)
        # The margins go inside the content, as in GIMP's dialogs, because the buttons have their own.
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=12, border_width=12)
        self._dialog.get_content_area().pack_start(box, True, True, 0)
        for widget in (self._view, self._bar, self._text, details):
            box.pack_start(widget, widget is self._view, True, 0)
        self._text.set_text(_("Preparing…"))
        self._stop_button.set_sensitive(False)
        self._dialog.show_all()

    def _open_photo(self, part: int) -> None:
        photo = self._photos[part]
        width, height = photo.get_width(), photo.get_height()
        self._view.set_size_request(width, height)
        self._view.open_picture(photo, width, height)

    def show(self, progress: Progress) -> None:
        """Show the progress if it is new."""
        last = self._shown
        if progress is last or self.cancelled:
            return
        if progress.iteration and not (last and last.iteration and last.part == progress.part):
            self._start_seconds = time.monotonic()
            self._start_iteration = progress.iteration
        self._shown = progress
        if progress.shown is not None:
            if last is None or last.part != progress.part:
                self._open_photo(progress.part)
            before = self._view.overview
            painting = pixbuf_from_rgb(progress.shown, before.pixbuf.get_width(), before.pixbuf.get_height())
            self._view.show_pictures(before, ShownPicture(painting, before.area))
        self._bar.set_fraction(progress.fraction)
        self._text.set_text(showable(self._describe(progress)))
        self._numbers.set_text(self._describe_numbers(progress))
        self._stop_button.set_sensitive(progress.iteration > 0 and not self.stopped)

    def close(self) -> None:
        """Close the window and the layers."""
        self._dialog.destroy()
        with suppress(EngineEndedError):
            for number in self.layers:
                self._engine.close_layer(number)

    def _describe(self, progress: Progress) -> str:
        if self.stopped:
            return _("Stopping…")
        if not progress.iteration:
            return f"{progress.stage}…"
        layers = len(self._photos)
        text = f"{round(100 * progress.fraction)} %"
        timed = progress.iteration - self._start_iteration
        if timed >= TIMED_ITERATIONS:
            left = progress.iterations * (layers - progress.part) - progress.iteration
            seconds = (time.monotonic() - self._start_seconds) / timed * left
            text += ", " + _("{duration} left").format(duration=format_duration(seconds))
        return text

    def _describe_numbers(self, progress: Progress) -> str:
        if not progress.iteration:
            return ""
        text = _("Iteration {iteration} of {iterations}")
        if len(self._photos) > 1:
            text = _("Layer {layer} of {layers}, iteration {iteration} of {iterations}")
        text = text.format(
            layer=progress.part + 1,
            layers=len(self._photos),
            iteration=progress.iteration,
            iterations=progress.iterations,
        )
        if "total" in progress.losses:
            text += ", " + _("loss {loss:.3g}").format(loss=progress.losses["total"])
        return text

    def _on_response(self, _dialog: Gtk.Dialog, response: int) -> None:
        if response == STOP_RESPONSE:
            self.stopped = True
            self._stop_button.set_sensitive(False)
            self._text.set_text(_("Stopping…"))
        else:
            self.cancelled = True
            self._dialog.hide()


def build_bar() -> Gtk.ProgressBar:
    """Return a progress bar that is easy to see."""
    bar = Gtk.ProgressBar()
    # GIMP's themes draw a hairline, which is hard to see on their dark background.
    style = Gtk.CssProvider()
    style.load_from_data(b"trough, progress { min-height: 10px; }")
    bar.get_style_context().add_provider(style, Gtk.STYLE_PROVIDER_PRIORITY_APPLICATION)
    return bar


def format_duration(seconds: float) -> str:
    """Describe a duration no more precisely than it can be known, for example "about 20 seconds"."""
    if seconds < 10:
        return _("a few seconds")
    if seconds < 90:
        return _("about {seconds} seconds").format(seconds=round(seconds / 10) * 10)
    if seconds < 90 * 60:
        return _("about {minutes} minutes").format(minutes=round(seconds / 60))
    return _("about {hours} hours").format(hours=round(seconds / 3600))
