"""The filter's dialog, built on GIMP's own procedure dialog. Needs the engine to be connected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")

import pixels
import records
import region_rows
from gi.repository import Gimp, GimpUi, GLib, GObject, Gtk, Pango
from painting import (
    check_style_picture,
    find_region_styles,
    find_style_picture,
    read_fast_settings,
    read_instant_settings,
    read_recipe,
)
from procedure_arguments import ITERATIVE, RANGES, SETTINGS, is_iterative
from subjects import PaintedLayer, Subject
from translation import _, ngettext

from gui.detail_scale import DetailScale
from gui.estimator import Estimator
from gui.form import SPACING, add_labelled_row, align_widths, limit_to_range, stand_out_when_checked
from gui.gallery import StyleGallery
from gui.install_window import install_torch
from gui.picture_tiles import PictureTiles
from gui.preview import open_layer
from gui.preview_pane import PreviewPane
from gui.progress_window import ProgressWindow, format_duration
from gui.region_list import RegionList
from gui.saved_settings_menu import SavedSettingsMenu
from gui.style_picture_page import StylePicturePage
from nst_core.base.errors import StyleError
from plugin.engine.api import Engine
from plugin.engine.messages import FastRequest, InstantRequest
from plugin.engine.process.remote import EngineEndedError

# How often the dialog looks whether the layers, the selection and the memory still allow a painting.
CHECK_MS = 1000
# The size of the dialog, and how much of the screen it may take.
DIALOG_WIDTH, DIALOG_HEIGHT, SCREEN_SHARE = 1140, 860, 0.85
SMALLEST_SIDE_HEIGHT = 160
RENDER_KEPT = _(
    "Strength and colours change at once, because this layer keeps its painting. Changing another setting repaints it."
)
CHOOSE_PICTURE = _("Choose a painting, or any picture whose style you want.")
TOOLTIPS = {
    "strength": _("How strong the style is; 0 leaves the photo unchanged"),
    "stroke-size": _("How broad the strokes are"),
    "full-resolution": _("Keep strokes small in large photos; takes longer"),
    "keep-colors": _("Take only the strokes of the painting, and keep the colours of the photo"),
}


def ask(
    engine: Engine,
    procedure: Gimp.Procedure,
    config: Gimp.ProcedureConfig,
    subjects: Sequence[Subject],
    outputs: Sequence[tuple[str, str]],
    title: str = "Neural Style",
) -> Subject | None:
    """Let the user change ``config``, with a preview of the first layer. Return what to paint, or None if cancelled.

    ``subjects`` are the choices of what to paint. The first, the default, has the layers that paintings were painted
    from; the second, if there is one, has those paintings themselves. ``outputs`` are the outputs to choose from (see
    procedure_arguments.py).
    """
    GimpUi.init("neural-style")
    dialog = FilterDialog(engine, procedure, config, subjects, title)
    try:
        return dialog.subject if dialog.run(outputs) else None
    finally:
        dialog.close()


def open_progress_window(engine: Engine, config: Gimp.ProcedureConfig, subject: Subject) -> ProgressWindow | None:
    """Open a window to watch the painting in, or return None if it does not take long.

    Call this after ``ask``, which initialises the user interface.
    """
    keeps_render = isinstance(subject, PaintedLayer) and subject.keeps_render(config)
    if not is_iterative(config) or keeps_render:
        return None
    opened = [open_layer(engine, layer, subject.with_selection).opened for layer in subject.sources]
    return ProgressWindow(engine, opened)


class FilterDialog:
    """The dialog: the preview on the left; on the right the styles and, below them, the settings of every style.

    Args:
        engine: paints the preview.
        procedure: the filter's procedure.
        config: the settings, which the dialog changes.
        subjects: see ``ask``.
        title: the title of the dialog.

    Attributes:
        subject: what to paint.
    """

    def __init__(
        self,
        engine: Engine,
        procedure: Gimp.Procedure,
        config: Gimp.ProcedureConfig,
        subjects: Sequence[Subject],
        title: str,
    ) -> None:
        self._engine, self._config, self._subjects = engine, config, subjects
        self.subject = subjects[0]
        self._problem = ""
        self._timer = 0
        self._preview_pane = self._build_preview_pane(self.subject)
        self._estimator = self._build_estimator(self.subject)
        self._dialog = GimpUi.ProcedureDialog.new(procedure, config, title)
        self._saved_settings = SavedSettingsMenu(self._dialog, procedure, config)
        self._pages = Gtk.Stack(vhomogeneous=True, hhomogeneous=True)
        self._picture_page: Gtk.Widget | None = None
        self._detail = DetailScale(config)

    def run(self, outputs: Sequence[tuple[str, str]]) -> bool:
        """Show the dialog with these outputs to choose from. Return False if the user cancels."""
        self._dialog.set_ok_label(_("_Paint"))
        gallery = self._gallery = StyleGallery(self._config, self._accept, PictureTiles(self._config))
        style_picture = StylePicturePage(self._dialog, self._config)
        self._picture_page, self._install = style_picture.widget, style_picture.install
        self._install.connect("clicked", self._on_install)
        for page in (gallery, self._picture_page):
            page.show()
            self._pages.add(page)
        self._pages.show()
        page_buttons = self._build_page_buttons(gallery, self._picture_page)
        output = add_labelled_row(self._dialog, "output", _("O_utput"), _build_output_combo(self._config, outputs))
        rows = ["output-row"]
        if len(self._subjects) > 1 or len(self.subject.sources) > 1:
            subject = add_labelled_row(self._dialog, "subject", _("Pain_ts"), self._build_subject_combo())
            align_widths(*(row.get_children()[0] for row in (subject, output)))
            rows = ["subject-row", "output-row"]
        self._lay_out(page_buttons, rows)
        for name in (*SETTINGS, "output"):
            self._config.connect(f"notify::{name}", self._update)
        self._pages.connect("notify::visible-child", self._update)
        self._update()
        self._timer = GLib.timeout_add(CHECK_MS, self._check_again)
        while self._dialog.run():
            self._update()
            if not self._problem:
                self._saved_settings.remember_style()
                return True
        return False

    def close(self) -> None:
        """Close the dialog, its preview and the preview's layer."""
        if self._timer:
            GLib.source_remove(self._timer)
        self._preview_pane.close()
        self._estimator.close()
        self._dialog.destroy()

    def _build_preview_pane(self, subject: Subject) -> PreviewPane:
        layer = open_layer(self._engine, subject.sources[0], subject.with_selection)
        return PreviewPane(self._engine, self._config, layer)

    def _build_estimator(self, subject: Subject) -> Estimator:
        return Estimator(self._engine, subject.shapes, self._update)

    def _build_subject_combo(self) -> Gtk.ComboBoxText:
        """Build the choice between the layers that paintings were painted from and the paintings themselves."""
        combo = Gtk.ComboBoxText()
        combo.append_text(self._subjects[0].describe())
        for subject in self._subjects[1:]:
            count = len(subject.sources)
            combo.append_text(ngettext("The painting itself", "The selected layers themselves", count))
        combo.set_active(0)
        combo.set_sensitive(len(self._subjects) > 1)
        for renderer in combo.get_cells():  # a long name must not widen the dialog
            renderer.set_property("ellipsize", Pango.EllipsizeMode.END)
            renderer.set_property("width-chars", 1)
        combo.connect("changed", lambda combo: self._choose_subject(combo, self._subjects[combo.get_active()]))
        return combo

    def _choose_subject(self, combo: Gtk.ComboBoxText, subject: Subject) -> None:
        """Paint other layers, and preview the first of them."""
        if subject is self.subject:
            return
        try:
            subject.check_presence()
            pane = self._build_preview_pane(subject)
        except StyleError:  # without its engine the dialog stays as it is, and the status says why
            combo.set_active(self._subjects.index(self.subject))
            return
        self.subject = subject
        self._preview_pane.close()
        self._estimator.close()
        columns = self._preview_pane.get_parent()
        self._preview_pane.destroy()
        self._preview_pane, self._estimator = pane, self._build_estimator(subject)
        _put_first(columns, pane)
        self._update()

    def _accept(self) -> None:
        if self._dialog.get_widget_for_response(Gtk.ResponseType.OK).get_sensitive():
            self._dialog.response(Gtk.ResponseType.OK)

    def _update(self, *_: object) -> None:
        """Make the preview, the status and the buttons agree with the settings."""
        from_picture = self._pages.get_visible_child() is self._picture_page
        regions = bool(self._config.get_property("regions"))
        refined = from_picture and self._config.get_property("method") == ITERATIVE and not regions
        self._problem = self._find_problem()
        self._preview_pane.show_problem(self._problem)
        self._show_regions()
        for name in ("stroke-size", "full-resolution"):
            self._dialog.get_widget(name, GObject.TYPE_NONE).set_visible(not refined)
        self._detail.widget.set_visible(not refined)
        if from_picture:
            self._detail.show_picture()
            ready = self._show_render() if refined else self._show_style_picture()
        else:
            self._estimator.cancel()
            styles = self._gallery.find_styles()
            ready = bool(styles)
            self._detail.show_styles(styles)
            self._preview_pane.show_styles(styles, self._describe_change(style.path for style in styles))
        self._dialog.set_response_sensitive(Gtk.ResponseType.OK, ready and not self._problem)

    def _show_render(self) -> bool:
        """Show the render that the painting keeps, or say how long a new one takes. Return whether Paint is allowed."""
        if isinstance(self.subject, PaintedLayer) and self.subject.keeps_render(self._config):
            self._estimator.cancel()
            self._preview_pane.show_render(self.subject.render, RENDER_KEPT)
            return True
        ready, status = self._describe_render()
        self._preview_pane.show_photo(status)
        return ready

    def _show_style_picture(self) -> bool:
        """Show the layer in the style of the chosen picture. Return whether Paint is allowed."""
        self._estimator.cancel()
        file = self._config.get_property("style-image")
        if file is None:
            self._preview_pane.show_photo(CHOOSE_PICTURE)
            return False
        try:
            check_style_picture(self._config)
            picture = find_style_picture(self._engine, file)
        except EngineEndedError:  # the preview says so
            return False
        except StyleError as error:
            self._preview_pane.show_photo(str(error))
            return False
        files = [Path(file.get_path())] if file.get_path() else []
        self._preview_pane.show_styles({}, self._describe_change(files), {picture: 1.0})
        return True

    def _describe_change(self, files: Iterable[Path]) -> str:
        """Return in one sentence whether the style has changed since the painting that is edited, or nothing."""
        if not isinstance(self.subject, PaintedLayer):
            return ""
        chosen = records.describe(self._config, "", set(files))
        return records.describe_change(self.subject.record, chosen)

    def _check_again(self) -> bool:
        """Update the dialog if a change in the image has solved a problem or made one, or changed the selection."""
        if self._find_problem() != self._problem:
            self._update()
        if self._show_regions():
            self._update()
        return GLib.SOURCE_CONTINUE

    def _show_regions(self) -> bool:
        """Have the preview follow the selection and the masks. Return whether the masks have changed."""
        layer = self.subject.sources[0]
        if not layer.is_valid():
            return False
        try:
            places = region_rows.uses_selection(self._config)
            masks = region_rows.read_masks(layer, self._config)
            styles = find_region_styles(self._engine, self._config, region_rows.read_rows(self._config))
        except (StyleError, EngineEndedError):  # the status says so
            return False
        if self.subject.with_selection:
            self._preview_pane.show_selection(None if places else pixels.read_selection(layer))
        return self._preview_pane.take_regions(masks, styles if self._config.get_property("regions") else None)

    def _find_problem(self) -> str:
        """Return in one sentence why the layers cannot be painted with the settings, or nothing."""
        try:
            self.subject.check(self._config.get_property("output"))
            check_style_picture(self._config)
            rows = region_rows.read_rows(self._config)
            if rows:
                find_region_styles(self._engine, self._config, rows)
            region_rows.read_masks(self.subject.sources[0], self._config)
            if request := self._read_request():
                self._engine.check_painting(self.subject.shapes, request)
        except EngineEndedError:  # the preview says so
            return ""
        except StyleError as error:
            return str(error)
        return ""

    def _read_request(self) -> FastRequest | InstantRequest | None:
        """Return what is asked for, except the style picture; None without a style and for a render."""
        if self._pages.get_visible_child() is self._picture_page:
            instant = InstantRequest((), read_instant_settings(self._config))
            return None if is_iterative(self._config) else instant
        styles = self._gallery.find_styles()
        return FastRequest(styles, read_fast_settings(self._config)) if styles else None

    def _on_install(self, _button: Gtk.Widget) -> None:
        if install_torch(self._dialog):
            self._update()

    def _describe_render(self) -> tuple[bool, str]:
        """Return whether an iterative render can begin, and how long it will take and what the user can do."""
        try:
            self._engine.require_torch()
        except StyleError as error:
            self._install.set_visible(not isinstance(error, EngineEndedError))
            return False, str(error)
        self._install.set_visible(False)
        self._estimator.request(read_recipe(self._config))
        if estimate := self._estimator.estimate:
            if estimate.device == "cpu":
                text = _("Takes {duration} on the CPU, with the feature network {network}.")
            else:
                text = _("Takes {duration} on the graphics card, with the feature network {network}.")
            duration = format_duration(estimate.seconds)
            status = text.format(network=estimate.feature_network, duration=duration)
        else:
            status = self._estimator.error or _("Estimating the time…")
        if self._config.get_property("style-image") is None:
            return False, "\n".join([CHOOSE_PICTURE, status])
        return True, "\n".join([status, _("You will see the painting develop, and can stop when you like it.")])

    def _build_page_buttons(self, gallery: Gtk.Widget, picture_page: Gtk.Widget) -> Gtk.Box:
        """Build the two buttons that choose the page.

        The setting ``style-image`` follows them: on the gallery's page it is None.
        """
        gallery_button = Gtk.RadioButton(label=_("Tr_ained style"), use_underline=True, draw_indicator=False)
        picture_button = Gtk.RadioButton(
            label=_("Your o_wn picture"), use_underline=True, draw_indicator=False, group=gallery_button
        )
        buttons = Gtk.Box(homogeneous=True)
        buttons.get_style_context().add_class("linked")
        stand_out_when_checked(gallery_button, picture_button)
        for button in (gallery_button, picture_button):
            buttons.pack_start(button, True, True, 0)
        buttons.show_all()
        config, pages = self._config, self._pages
        last_picture = config.get_property("style-image")

        def on_button(_: Gtk.Widget) -> None:
            from_picture = picture_button.get_active()
            pages.set_visible_child(picture_page if from_picture else gallery)
            file = last_picture if from_picture else None
            if file is not config.get_property("style-image"):
                config.set_property("style-image", file)

        def on_style_picture(*_: object) -> None:
            nonlocal last_picture
            # It is None after the first button, and after the user asks for other settings, such as the defaults.
            file = config.get_property("style-image")
            last_picture = file or last_picture
            (picture_button if file else gallery_button).set_active(True)

        picture_button.connect("toggled", on_button)
        config.connect("notify::style-image", on_style_picture)
        on_style_picture()
        return buttons

    def _lay_out(self, page_buttons: Gtk.Widget, rows: Sequence[str]) -> None:
        dialog = self._dialog
        # Which widget GIMP takes by default depends on its version.
        for name in ("strength", "stroke-size"):
            scale = dialog.get_widget(name, GimpUi.SpinScale)
            limit_to_range(scale, RANGES[name])
            scale.unset_scale_limits()
        for name, text in TOOLTIPS.items():
            dialog.get_widget(name, GObject.TYPE_NONE).set_tooltip_text(text)
        settings = ["strength", "stroke-size", "full-resolution", "keep-colors", *rows]
        controls = dialog.fill_box("controls", settings)
        controls.set_spacing(6)
        controls.pack_start(RegionList(self._config, self.subject.image), False, False, 0)
        controls.pack_start(self._detail.widget, False, False, 0)
        controls.reorder_child(self._detail.widget, 1)
        side = dialog.fill_box("side", ["controls"])
        side.set_spacing(SPACING)
        side.pack_start(page_buttons, False, False, 0)
        side.pack_start(self._pages, True, True, 0)
        for position, widget in enumerate((page_buttons, self._pages)):
            side.reorder_child(widget, position)
        scroller = dialog.fill_scrolled_window("side-scroller", "side")
        scroller.set_policy(Gtk.PolicyType.NEVER, Gtk.PolicyType.AUTOMATIC)
        scroller.set_overlay_scrolling(False)
        scroller.set_shadow_type(Gtk.ShadowType.NONE)
        scroller.set_min_content_height(SMALLEST_SIDE_HEIGHT)
        columns = dialog.fill_box("columns", ["side-scroller"])
        columns.set_orientation(Gtk.Orientation.HORIZONTAL)
        columns.set_spacing(2 * SPACING)
        columns.set_child_packing(scroller, False, False, 0, Gtk.PackType.START)
        _put_first(columns, self._preview_pane)
        dialog.fill(["columns"])
        dialog.set_default_size(*_default_size(dialog))


def _default_size(window: Gtk.Window) -> tuple[int, int]:
    """Return the width and height of the dialog, which leave some of the screen with the pointer visible."""
    display = window.get_display()
    _screen, x, y = display.get_default_seat().get_pointer().get_position()
    room = display.get_monitor_at_point(x, y).get_workarea()
    return min(DIALOG_WIDTH, int(SCREEN_SHARE * room.width)), min(DIALOG_HEIGHT, int(SCREEN_SHARE * room.height))


def _put_first(box: Gtk.Box, widget: Gtk.Widget) -> None:
    box.pack_start(widget, True, True, 0)
    box.reorder_child(widget, 0)


def _build_output_combo(config: Gimp.ProcedureConfig, outputs: Sequence[tuple[str, str]]) -> Gtk.ComboBox:
    model = Gtk.ListStore(str, str)
    for output in outputs:
        model.append(output)
    return GimpUi.prop_string_combo_box_new(config, "output", model, 0, 1)
