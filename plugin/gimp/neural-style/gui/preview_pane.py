"""The dialog's left half: the preview, and what there is to say about it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from gi.repository import GdkPixbuf, Gimp, GLib, Gtk
from translation import _

from gui.navigator import Navigator
from gui.preview import Layer, Preview
from gui.split_view import SplitView, pixbuf
from nst_core.style_file import Style
from plugin.engine.api import Engine
from plugin.engine.fast.fast_settings import WORKING_PIXELS
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.messages import PreviewRequest, PreviewResult
from plugin.engine.process.remote import EngineEnded

ABOUT_PART = _("This is a part of the layer at its full size; choose another one in the small picture.")


class PreviewPane:
    """Shows the layer as ``config`` would have it painted; ``widget`` is what to pack."""

    def __init__(self, engine: Engine, config: Gimp.ProcedureConfig, layer: Layer) -> None:
        self._engine, self._config, self._layer = engine, config, layer
        self._styles: Mapping[Style, float] = {}
        self._idle = 0
        self._preview = Preview(engine, layer, self._changed)
        # The part shown where strokes are to have full resolution, and where that is; else the whole.
        self._photo = self._whole = self._pixbuf(engine.layer_photo(layer.opened.number))
        self._corner: tuple[int, int] | None = None
        self._view = SplitView(_("Preview: the photo on the left, the painting on the right"))
        self._view.set_size_request(layer.opened.width, layer.opened.height)
        self._view.show_pictures(self._whole, None)
        share = layer.opened.width / layer.width, layer.opened.height / layer.height
        self._navigator = Navigator(_("Choose the part to look at"), self._whole, share, lambda *_: self._wish())
        self._navigator.set_no_show_all(True)
        self._spinner = Gtk.Spinner(valign=Gtk.Align.START)
        self._status = Gtk.Label(wrap=True, xalign=0, width_chars=1)
        self._note = Gtk.Label(wrap=True, xalign=0, width_chars=1)
        texts = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        for label in (self._status, self._note):
            texts.pack_start(label, False, False, 0)
        line = Gtk.Box(spacing=6)
        line.pack_start(texts, True, True, 0)
        line.pack_start(self._spinner, False, False, 0)
        line.pack_start(self._navigator, False, False, 0)
        self.widget = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        ground = Gtk.EventBox()
        ground.get_style_context().add_class("view")
        ground.add(self._view)
        frame = Gtk.Frame(shadow_type=Gtk.ShadowType.IN)
        frame.add(ground)
        self.widget.pack_start(frame, True, True, 0)
        self.widget.pack_start(line, False, False, 0)
        self.widget.show_all()

    def follow(self, styles: Mapping[Style, float]) -> None:
        """Show these styles, if there are any, with the settings of ``config``."""
        if not styles:
            self.show_photo("", "")
            return
        self._styles = styles
        self._wish()

    def show_photo(self, status: str, note: str) -> None:
        """Show the photo alone, and say this about it."""
        self._styles = {}
        self._look_at(None)
        self._view.show_pictures(self._photo, None)
        self._spinner.stop()
        self._status.set_text(status)
        self._note.set_text(note)

    def close(self) -> None:
        """Stop following; call it before the widget goes."""
        self._preview.close()
        if self._idle:
            GLib.source_remove(self._idle)

    def _wish(self) -> None:
        height, width = self._layer.height, self._layer.width
        if self._config.get_property("full-resolution") and width * height > WORKING_PIXELS:
            left, top = self._navigator.corner
            self._look_at((round(left * width), round(top * height)))
        else:
            self._look_at(None)
        stroke_size = self._config.get_property("stroke-size")
        self._preview.wish(PreviewRequest(tuple(self._styles.items()), stroke_size, self._corner))

    def _look_at(self, corner: tuple[int, int] | None) -> None:
        """Look at the part of the layer with this corner, or at the whole."""
        self._navigator.set_visible(corner is not None)
        if corner == self._corner:
            return
        with suppress(EngineEnded):  # as the status tells, once nothing comes of the wish
            self._photo = (
                self._pixbuf(self._engine.layer_photo(self._layer.opened.number, corner)) if corner else self._whole
            )
            self._corner = corner

    def _pixbuf(self, rgb: bytes) -> GdkPixbuf.Pixbuf:
        return pixbuf(rgb, self._layer.opened.width, self._layer.opened.height)

    def _changed(self) -> None:
        # A slider moves faster than pictures can be mixed: once for all that has come by then.
        if not self._idle:
            self._idle = GLib.idle_add(self._show)

    def _show(self) -> bool:
        self._idle = 0
        if not self._styles:
            return GLib.SOURCE_REMOVE
        (self._spinner.start if self._preview.busy else self._spinner.stop)()
        painting, mixed, trouble = self._preview.painting, None, self._preview.trouble
        if painting and painting.wish.corner == self._corner:
            blend = BlendSettings(self._config.get_property("strength"), self._config.get_property("keep-colors"))
            number = self._layer.opened.number
            try:
                mixed = self._pixbuf(self._engine.mix_preview(number, painting.trial.number, blend))
            except EngineEnded as error:
                trouble = str(error)
        self._view.show_pictures(self._photo, mixed)
        if self._preview.busy:
            self._status.set_text(_("Painting the preview…"))
        else:
            self._status.set_text(trouble or (_device(painting.trial) if painting else ""))
        self._note.set_text(ABOUT_PART if self._corner else "")
        return GLib.SOURCE_REMOVE


def _device(trial: PreviewResult) -> str:
    text = _("Runs on the graphics card: {reason}.") if trial.on_gpu else _("Runs on the CPU: {reason}.")
    return text.format(reason=trial.reason)
