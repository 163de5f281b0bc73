"""The left half of the dialog: the preview, with its status below."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

from gi.repository import Gimp, GLib, Gtk
from procedure_arguments import chosen_detail
from showable import showable
from translation import _

from gui.form import status_label
from gui.pixbufs import pixbuf_from_rgb
from gui.preview import Preview, PreviewLayer, PreviewPainting
from gui.split_view import ShownPicture, SplitView
from gui.view_control import ViewControl
from gui.zoom_bar import ZoomBar
from nst_core.style_file import Style
from plugin.engine.api import Engine
from plugin.engine.fast.fast_settings import WORKING_PIXELS
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.messages import (
    Area,
    LayerView,
    Masks,
    PicturePath,
    PreviewRequest,
    RawPicture,
    RegionStyleChoice,
    StylePicture,
)
from plugin.engine.process.remote import EngineEndedError

RegionStyles: TypeAlias = tuple[tuple[RegionStyleChoice, ...], RegionStyleChoice]
# How long the picture rests before a part of it is painted.
REST_MS = 150
HOW_TO_LOOK = _("Scroll to zoom, drag to move. Hold the mouse button to see the photo.")
HOW_TO_MOVE = _("Finer strokes are shown at 100 %. Drag the picture to see other parts.")


class PreviewPane(Gtk.Box):
    """Shows the layer as it would be painted with the settings in ``config``."""

    def __init__(self, engine: Engine, config: Gimp.ProcedureConfig, layer: PreviewLayer) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._engine, self._config, self._layer = engine, config, layer
        self._selection = layer.selection
        self._styles: Mapping[Style, float] = {}
        self._pictures: Mapping[StylePicture, float] = {}
        self._render = b""
        self._masks: Masks | None = None
        self._region_styles: RegionStyles | None = None
        self._idle = self._timer = 0
        self._problem = self._style_note = ""
        self._preview = Preview(engine, layer, self._schedule_update)
        opened = layer.opened
        overview = pixbuf_from_rgb(engine.layer_photo(opened.number), opened.width, opened.height)
        self._view = SplitView(_("Preview: the photo on the left, the painting on the right"), self._on_view)
        ViewControl(self._view)
        self._bar = ZoomBar(self._view)
        self._photo: tuple[LayerView, ShownPicture] | None = None
        self._mixed: tuple[tuple[PreviewPainting, LayerView, BlendSettings, bytes | None], ShownPicture] | None = None
        self._spinner = Gtk.Spinner(valign=Gtk.Align.START)
        self._status = status_label(lines=2)
        self._lay_out()
        self._view.open_picture(overview, layer.width, layer.height)

    def _lay_out(self) -> None:
        frame = Gtk.Frame(shadow_type=Gtk.ShadowType.IN)
        frame.add(self._view)
        row = Gtk.Box(spacing=6)
        row.pack_start(self._status, True, True, 0)
        row.pack_start(self._spinner, False, False, 0)
        self.pack_start(frame, True, True, 0)
        self.pack_start(self._bar, False, False, 0)
        self.pack_start(row, False, False, 0)
        self.show_all()

    def show_styles(
        self, styles: Mapping[Style, float], note: str = "", pictures: Mapping[StylePicture, float] | None = None
    ) -> None:
        """Show a mixture of trained styles and style pictures with the settings of ``config``.

        Without any, show the photo alone. ``note`` is a sentence about the styles.
        """
        if not styles and not pictures:
            self.show_photo("")
            return
        self._styles, self._pictures, self._render, self._style_note = styles, pictures or {}, b"", note
        self._limit_scale(1.0 if self._shows_part() else 0.0)
        self._request()

    def show_render(self, render: bytes, note: str) -> None:
        """Show a render that was kept, with the settings of ``config``; ``note`` is a sentence about it."""
        self._styles, self._pictures, self._render, self._style_note = {}, {}, render, note
        self._limit_scale(0.0)
        self._request()

    def show_photo(self, status: str) -> None:
        """Show the photo alone, with some text."""
        self._styles, self._pictures, self._render = {}, {}, b""
        self._limit_scale(0.0)
        self._spinner.stop()
        self._status.set_text(showable(self._problem or status))
        self._schedule_update()

    def show_problem(self, problem: str) -> None:
        """Show from now on why the layers cannot be painted, in place of the status; empty if they can."""
        self._problem = problem
        self._schedule_update()

    def show_selection(self, selection: bytes | None) -> None:
        """Show the painting within another selection (see PreviewLayer); a layer that was resized has no other."""
        resized = selection is not None and len(selection) != self._layer.width * self._layer.height
        if resized or selection == self._selection:
            return
        self._selection = selection
        with suppress(EngineEndedError):  # the update says so
            self._engine.select(self._layer.opened.number, selection)
        self._schedule_update()

    def take_regions(self, masks: Masks | None, styles: RegionStyles | None) -> bool:
        """Paint from now on by these masks, with the styles of their regions and of the rest; None without regions.

        Returns whether that is a change.
        """
        changed = (masks, styles) != (self._masks, self._region_styles)
        self._masks, self._region_styles = masks, styles
        return changed

    def close(self) -> None:
        """Close the preview; call this before the widget is destroyed."""
        self._preview.close()
        for source in (self._idle, self._timer):
            if source:
                GLib.source_remove(source)

    def _shows_painting(self) -> bool:
        return bool(self._styles or self._pictures or self._render)

    def _shows_part(self) -> bool:
        """Return whether only the part of the layer that is seen is painted, because all of it would take long."""
        large = self._layer.width * self._layer.height > WORKING_PIXELS
        return large and not self._render and self._config.get_property("full-resolution")

    def _limit_scale(self, smallest: float) -> None:
        """Let the user zoom out this far (see Viewport.smallest_scale)."""
        viewport = self._view.viewport
        if viewport.smallest_scale != smallest:
            viewport.smallest_scale = smallest
            self._view.view_changed()

    def _request(self) -> None:
        """Request a preview of the current styles and settings."""
        painting, area = self._preview.painting, None
        if self._shows_part():
            area = self._view.viewport.visible_area()
            if painting and painting.request.area and _contains(painting.request.area, area):
                area = painting.request.area
        stroke_size = self._config.get_property("stroke-size")
        request = PreviewRequest(tuple(self._styles.items()), stroke_size, area, chosen_detail(self._config))
        if self._pictures:
            motifs, brushwork = (self._config.get_property(name) for name in ("motifs", "brushwork"))
            pictures = tuple(self._pictures.items())
            request = replace(request, pictures=pictures, motifs=motifs, brushwork=brushwork)
        request = replace(request, masks=self._masks)
        if self._region_styles:
            regions, rest = self._region_styles
            styles = rest if isinstance(rest, tuple) else ()
            pictures = ((rest, 1.0),) if isinstance(rest, PicturePath | RawPicture) else ()
            request = replace(request, styles=styles, pictures=pictures, regions=regions)
        self._preview.request(PreviewRequest((), 100.0, render=self._render) if self._render else request)

    def _on_view(self) -> None:
        """Show another part of the picture, or at another size."""
        self._bar.update()
        self._schedule_update()
        if self._timer:
            GLib.source_remove(self._timer)
            self._timer = 0
        if self._shows_painting() and self._shows_part():
            self._timer = GLib.timeout_add(REST_MS, self._request_part)

    def _request_part(self) -> bool:
        self._timer = 0
        if self._styles or self._pictures:
            self._request()
        return GLib.SOURCE_REMOVE

    def _schedule_update(self) -> None:
        # A slider or the mouse moves faster than pictures can be mixed: one update serves all changes until then.
        if not self._idle:
            self._idle = GLib.idle_add(self._update, priority=GLib.PRIORITY_LOW)

    def _update(self) -> bool:
        self._idle = 0
        busy, painting, error = self._preview.busy, self._preview.painting, self._preview.error
        view, mixed = self._view.viewport.view(), None
        try:
            photo = self._read_photo(view)
            if self._shows_painting() and painting and self._covers_view(painting):
                mixed = self._mix(painting, view)
        except EngineEndedError as ended:
            error = str(ended)
            photo = self._photo[1] if self._photo else self._view.overview
        self._view.show_pictures(photo, mixed)
        if not self._shows_painting():
            return GLib.SOURCE_REMOVE
        (self._spinner.start if busy else self._spinner.stop)()
        hint = HOW_TO_MOVE if self._shows_part() else HOW_TO_LOOK
        busy_text = _("Painting the preview…") if busy else ""
        note = painting.result.note if painting else ""
        self._status.set_text(showable(self._problem or busy_text or error or self._style_note or note or hint))
        return GLib.SOURCE_REMOVE

    def _covers_view(self, painting: PreviewPainting) -> bool:
        """Return whether a painting shows all that is seen, and in strokes of the right size."""
        area = painting.request.area
        if not self._shows_part() or area is None:
            return area is None and not self._shows_part()
        return _contains(area, self._view.viewport.visible_area())

    def _read_photo(self, view: LayerView) -> ShownPicture:
        if self._photo is None or self._photo[0] != view:
            rgb = self._engine.layer_photo(self._layer.opened.number, view)
            self._photo = view, ShownPicture(pixbuf_from_rgb(rgb, view.width, view.height), view.area)
        return self._photo[1]

    def _mix(self, painting: PreviewPainting, view: LayerView) -> ShownPicture:
        """Mix the photo and its painting as ``config`` says."""
        opened = self._layer.opened
        if painting.sketch:  # it is soon replaced, so how quickly it is seen matters more than how crisp it is
            shrink = max(1.0, (view.width * view.height / (opened.width * opened.height)) ** 0.5)
            view = LayerView(view.area, max(1, round(view.width / shrink)), max(1, round(view.height / shrink)))
        blend = BlendSettings(self._config.get_property("strength"), self._config.get_property("keep-colors"))
        mixture = painting, view, blend, self._selection
        if self._mixed is None or self._mixed[0] != mixture:
            rgb = self._engine.mix_preview(opened.number, painting.result.number, view, blend)
            self._mixed = mixture, ShownPicture(pixbuf_from_rgb(rgb, view.width, view.height), view.area)
        return self._mixed[1]


def _contains(outer: Area, inner: Area) -> bool:
    return (
        outer.left <= inner.left
        and outer.top <= inner.top
        and outer.left + outer.width >= inner.left + inner.width
        and outer.top + outer.height >= inner.top + inner.height
    )
