"""The dialog's left half: the preview, and what there is to say about it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from gi.repository import Gimp, GLib, Gtk
from language import _
from preview import Preview
from proxy import Proxy
from split_view import SplitView

from plugin.engine.picture import Picture, composite
from plugin.engine.provider import CUDA, Provider
from plugin.engine.style_library import Style

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of linear sRGB: ITU-R BT.709
GAMMA = 2.2


class PreviewPane:
    """Shows ``proxy`` as ``config`` would have it painted; ``widget`` is what to pack."""

    def __init__(self, config: Gimp.ProcedureConfig, proxy: Proxy) -> None:
        self._config, self._proxy = config, proxy
        self._styles: Mapping[Style, float] = {}
        self._idle = 0
        # Without the selection, which the mixing adds.
        self._preview = Preview(Picture(proxy.picture.pixels), self._changed)
        self._view = SplitView(_("Preview: the photo on the left, the painting on the right"))
        self._view.set_size_request(proxy.picture.width, proxy.picture.height)
        self._view.show_pictures(proxy.picture.pixels, None)
        self._spinner = Gtk.Spinner()
        self._status = Gtk.Label(wrap=True, xalign=0, width_chars=1)
        self._note = Gtk.Label(wrap=True, xalign=0, width_chars=1)
        self._note.get_style_context().add_class("dim-label")
        line = Gtk.Box(spacing=6)
        line.pack_start(self._status, True, True, 0)
        line.pack_end(self._spinner, False, False, 0)
        self.widget = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        ground = Gtk.EventBox()
        ground.get_style_context().add_class("view")
        ground.add(self._view)
        frame = Gtk.Frame(shadow_type=Gtk.ShadowType.IN)
        frame.add(ground)
        self.widget.pack_start(frame, True, True, 0)
        self.widget.pack_start(line, False, False, 0)
        self.widget.pack_start(self._note, False, False, 0)
        self.widget.show_all()

    def follow(self, styles: Mapping[Style, float], remark: str) -> None:
        """Show these styles with the settings of ``config``; without any the photo alone, and the remark."""
        self._styles = styles
        if not styles:
            self._view.show_pictures(self._proxy.picture.pixels, None)
            self._spinner.stop()
            self._status.set_text(remark)
            self._note.set_text("")
        else:
            self._preview.wish(styles, self._config.get_property("stroke-size"))

    def close(self) -> None:
        """Stop following; call it before the widget goes."""
        self._preview.close()
        if self._idle:
            GLib.source_remove(self._idle)

    def _changed(self) -> None:
        # A slider moves faster than pictures can be mixed: once for all that has come by then.
        if not self._idle:
            self._idle = GLib.idle_add(self._show)

    def _show(self) -> bool:
        self._idle = 0
        if not self._styles:
            return GLib.SOURCE_REMOVE
        (self._spinner.start if self._preview.busy else self._spinner.stop)()
        if painting := self._preview.painting:
            picture = self._proxy.picture
            strength, keep_colors = (self._config.get_property(name) for name in ("strength", "keep-colors"))
            mixed = composite(picture, painting.pixels[..., :3], strength, keep_colors)
            self._view.show_pictures(picture.pixels, _grey(mixed) if self._proxy.grey else mixed)
        if self._preview.busy:
            self._status.set_text(_("Painting the preview…"))
        else:
            self._status.set_text(self._preview.trouble or (_device(painting.provider) if painting else ""))
        self._note.set_text(_about_size(self._proxy))
        return GLib.SOURCE_REMOVE


def _grey(pixels: np.ndarray) -> np.ndarray:
    """What a greyscale layer keeps of sRGB-encoded pixels [H, W, 4]: their luminance."""
    luminance = (np.clip(pixels[..., :3], 0, 1) ** GAMMA @ LUMINANCE) ** (1 / GAMMA)
    return np.dstack([luminance, luminance, luminance, pixels[..., 3]])


def _device(provider: Provider) -> str:
    text = _("Runs on the graphics card: {reason}.") if provider.name == CUDA else _("Runs on the CPU: {reason}.")
    return text.format(reason=provider.reason)


def _about_size(proxy: Proxy) -> str:
    if not proxy.reduced:
        return ""
    width, height = proxy.full_size
    text = _("The layer is painted at its full {width} by {height} pixels: its strokes will be finer than shown here.")
    return text.format(width=width, height=height)
