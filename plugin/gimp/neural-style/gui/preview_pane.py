"""The left half of the dialog: the preview, with its status below."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from gi.repository import GdkPixbuf, Gimp, GLib, Gtk
from procedure_arguments import chosen_detail
from showable import showable
from translation import _

from gui.navigator import Navigator
from gui.pixbufs import pixbuf_from_rgb
from gui.preview import Preview, PreviewLayer
from gui.split_view import SplitView
from nst_core.style_file import Style
from plugin.engine.api import Engine
from plugin.engine.fast.fast_settings import WORKING_PIXELS
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.messages import PreviewRequest, PreviewResult
from plugin.engine.process.remote import EngineEndedError

ABOUT_PART = _("This is a part of the layer at its full size; choose another one in the small picture.")


class PreviewPane(Gtk.Box):
    """Shows the layer as it would be painted with the settings in ``config``."""

    def __init__(self, engine: Engine, config: Gimp.ProcedureConfig, layer: PreviewLayer) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._engine, self._config, self._layer = engine, config, layer
        self._styles: Mapping[Style, float] = {}
        self._idle = 0
        self._problem = self._style_note = ""
        self._preview = Preview(engine, layer, self._schedule_update)
        # With strokes at full resolution, the part shown and its corner; otherwise the whole layer and None.
        self._photo = self._whole = self._read_photo(None)
        self._corner: tuple[int, int] | None = None
        self._view = SplitView(_("Preview: the photo on the left, the painting on the right"))
        self._view.set_size_request(layer.opened.width, layer.opened.height)
        self._view.show_pictures(self._whole, None)
        part_size = layer.opened.width / layer.width, layer.opened.height / layer.height
        self._navigator = Navigator(_("Choose the part to look at"), self._whole, part_size, self._request)
        self._navigator.set_no_show_all(True)
        self._spinner = Gtk.Spinner(valign=Gtk.Align.START)
        self._status = Gtk.Label(wrap=True, xalign=0, width_chars=1)
        self._note = Gtk.Label(wrap=True, xalign=0, width_chars=1)
        self._lay_out()

    def _lay_out(self) -> None:
        background = Gtk.EventBox()
        background.get_style_context().add_class("view")
        background.add(self._view)
        frame = Gtk.Frame(shadow_type=Gtk.ShadowType.IN)
        frame.add(background)
        texts = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        for label in (self._status, self._note):
            texts.pack_start(label, False, False, 0)
        row = Gtk.Box(spacing=6)
        row.pack_start(texts, True, True, 0)
        row.pack_start(self._spinner, False, False, 0)
        row.pack_start(self._navigator, False, False, 0)
        self.pack_start(frame, True, True, 0)
        self.pack_start(row, False, False, 0)
        self.show_all()

    def show_styles(self, styles: Mapping[Style, float], note: str = "") -> None:
        """Show a mixture of styles with the settings of ``config``, or the photo alone if there is no style.

        ``note`` is a sentence about the styles.
        """
        if not styles:
            self.show_photo("", "")
            return
        self._styles, self._style_note = styles, note
        self._request()

    def show_photo(self, status: str, note: str) -> None:
        """Show the photo alone, with two lines of text."""
        self._styles = {}
        self._show_part(None)
        self._view.show_pictures(self._photo, None)
        self._spinner.stop()
        self._status.set_text(showable(self._problem or status))
        self._note.set_text(showable(note))

    def show_problem(self, problem: str) -> None:
        """Show from now on why the layers cannot be painted, in place of the status; empty if they can."""
        self._problem = problem
        self._schedule_update()

    def close(self) -> None:
        """Close the preview; call this before the widget is destroyed."""
        self._preview.close()
        if self._idle:
            GLib.source_remove(self._idle)

    def _request(self) -> None:
        """Request a preview of the current styles and settings."""
        height, width = self._layer.height, self._layer.width
        if self._config.get_property("full-resolution") and width * height > WORKING_PIXELS:
            left, top = self._navigator.corner
            self._show_part((round(left * width), round(top * height)))
        else:
            self._show_part(None)
        stroke_size = self._config.get_property("stroke-size")
        detail = chosen_detail(self._config)
        self._preview.request(PreviewRequest(tuple(self._styles.items()), stroke_size, self._corner, detail))

    def _show_part(self, corner: tuple[int, int] | None) -> None:
        """Choose the part of the layer to show by its corner, or the whole layer with None."""
        self._navigator.set_visible(corner is not None)
        if corner == self._corner:
            return
        with suppress(EngineEndedError):  # the status says so once the request fails
            self._photo = self._read_photo(corner) if corner else self._whole
            self._corner = corner

    def _read_photo(self, corner: tuple[int, int] | None) -> GdkPixbuf.Pixbuf:
        return self._to_pixbuf(self._engine.layer_photo(self._layer.opened.number, corner))

    def _to_pixbuf(self, rgb: bytes) -> GdkPixbuf.Pixbuf:
        return pixbuf_from_rgb(rgb, self._layer.opened.width, self._layer.opened.height)

    def _schedule_update(self) -> None:
        # A slider moves faster than pictures can be mixed: one update serves all changes until then.
        if not self._idle:
            self._idle = GLib.idle_add(self._update)

    def _update(self) -> bool:
        self._idle = 0
        if not self._styles:
            return GLib.SOURCE_REMOVE
        busy, painting, error = self._preview.busy, self._preview.painting, self._preview.error
        (self._spinner.start if busy else self._spinner.stop)()
        mixed = None
        if painting and painting.request.corner == self._corner:
            try:
                mixed = self._mix(painting.result)
            except EngineEndedError as ended:
                error = str(ended)
        self._view.show_pictures(self._photo, mixed)
        if self._problem:
            self._status.set_text(showable(self._problem))
        elif busy:
            self._status.set_text(_("Painting the preview…"))
        else:
            self._status.set_text(showable(error or (_describe_device(painting.result) if painting else "")))
        self._note.set_text(showable(" ".join(filter(None, [self._style_note, ABOUT_PART if self._corner else ""]))))
        return GLib.SOURCE_REMOVE

    def _mix(self, result: PreviewResult) -> GdkPixbuf.Pixbuf:
        """Mix the photo and its painting as ``config`` says."""
        blend = BlendSettings(self._config.get_property("strength"), self._config.get_property("keep-colors"))
        return self._to_pixbuf(self._engine.mix_preview(self._layer.opened.number, result.number, blend))


def _describe_device(result: PreviewResult) -> str:
    text = _("Runs on the graphics card: {reason}.") if result.on_gpu else _("Runs on the CPU: {reason}.")
    return text.format(reason=result.reason)
