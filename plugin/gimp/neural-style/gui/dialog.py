"""The filter's dialog, built on GIMP's own procedure dialog. Needs the engine to be connected."""

from __future__ import annotations

from collections.abc import Sequence

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")

from gi.repository import Gimp, GimpUi, Gtk  # noqa: E402
from painting import recipe  # noqa: E402
from pixels import layers_of  # noqa: E402
from procedure_arguments import SETTINGS  # noqa: E402
from translation import _  # noqa: E402

from gui.estimator import Estimator  # noqa: E402
from gui.gallery import gallery  # noqa: E402
from gui.preview import open_layer  # noqa: E402
from gui.preview_pane import PreviewPane  # noqa: E402
from gui.progress_window import ProgressWindow, duration  # noqa: E402
from gui.style_picture import labelled_row, limit, style_picture  # noqa: E402
from nst_core.base.errors import StyleError  # noqa: E402
from nst_core.style_file import Style  # noqa: E402
from plugin.engine.api import Engine  # noqa: E402
from plugin.engine.fast.style_library import Library, find_styles, read_library  # noqa: E402

SPACING = 12


def ask(
    engine: Engine,
    procedure: Gimp.Procedure,
    config: Gimp.ProcedureConfig,
    drawables: Sequence[Gimp.Drawable],
    outputs: Sequence[tuple[str, str]],
    with_selection: bool = True,
) -> bool:
    """Let the user change ``config``, with a preview of the first drawable. False if the dialog was cancelled.

    ``outputs`` are those to choose from (see arguments.py). ``with_selection`` is whether the selection decides where
    the style goes.
    """
    if not drawables:
        raise StyleError(_("No layer is selected; select the layer to paint."))
    GimpUi.init("neural-style")
    library = read_library()
    pane = PreviewPane(engine, config, open_layer(engine, drawables[0], with_selection))
    shapes = [(layer.get_height(), layer.get_width()) for layer in layers_of(drawables)]
    estimator = Estimator(engine, shapes, lambda: follow())
    dialog = GimpUi.ProcedureDialog.new(procedure, config, "Neural Style")
    try:
        dialog.set_ok_label(_("_Paint"))

        def accept() -> None:
            if dialog.get_widget_for_response(Gtk.ResponseType.OK).get_sensitive():
                dialog.response(Gtk.ResponseType.OK)

        trained, own = gallery(config, library, accept), style_picture(dialog, config)
        choice, pages = _source(config, trained, own)
        labelled_row(dialog, "output", _("O_utput"), _output(config, outputs))
        _lay_out(dialog, pane.widget, choice, pages)

        def follow(*_: object) -> None:
            from_picture = pages.get_visible_child() is own
            for name in ("stroke-size", "full-resolution"):
                dialog.set_sensitive(name, not from_picture, None, None, False)
            if from_picture:
                ready, *remarks = _about_picture(engine, config, estimator)
                pane.show_photo(*remarks)
            else:
                estimator.forget()
                styles = _chosen(config, library)
                ready = bool(styles)
                pane.follow(styles)
            dialog.set_response_sensitive(Gtk.ResponseType.OK, ready)

        for name in SETTINGS:
            config.connect(f"notify::{name}", follow)
        pages.connect("notify::visible-child", follow)
        follow()
        return dialog.run()
    finally:
        pane.close()
        estimator.close()
        dialog.destroy()


def watcher(
    engine: Engine, config: Gimp.ProcedureConfig, drawables: Sequence[Gimp.Drawable], with_selection: bool = True
) -> ProgressWindow | None:
    """A window to watch the painting in, if it takes long. Call it after ``ask``, which begins with the interface."""
    if config.get_property("style-image") is None:
        return None
    return ProgressWindow(engine, [open_layer(engine, layer, with_selection).opened for layer in layers_of(drawables)])


def _chosen(config: Gimp.ProcedureConfig, library: Library) -> dict[Style, float]:
    name = config.get_property("style") or ""
    if name in library.styles:
        return {library.styles[name]: 1.0}
    try:
        return find_styles(name)  # a mixture, or a file from elsewhere, that a script has given
    except StyleError:
        return {}


def _lay_out(dialog: GimpUi.ProcedureDialog, preview: Gtk.Widget, choice: Gtk.Widget, pages: Gtk.Widget) -> None:
    """The preview on the left; on the right the styles and, under them, the settings of every style."""
    # GIMP's default widgets differ by version.
    for name in ("strength", "stroke-size"):
        scale = dialog.get_widget(name, GimpUi.SpinScale)
        limit(scale, name, digits=0)
        scale.unset_scale_limits()
    controls = dialog.fill_box("controls", ["strength", "stroke-size", "full-resolution", "keep-colors", "output-row"])
    controls.set_spacing(6)
    side = dialog.fill_box("side", ["controls"])
    side.set_spacing(SPACING)
    side.pack_start(choice, False, False, 0)
    side.pack_start(pages, True, True, 0)
    for position, widget in enumerate((choice, pages)):
        side.reorder_child(widget, position)
    columns = dialog.fill_box("columns", ["side"])
    columns.set_orientation(Gtk.Orientation.HORIZONTAL)
    columns.set_spacing(2 * SPACING)
    columns.set_child_packing(side, False, False, 0, Gtk.PackType.START)
    columns.pack_start(preview, True, True, 0)
    columns.reorder_child(preview, 0)
    dialog.fill(["columns"])


def _output(config: Gimp.ProcedureConfig, outputs: Sequence[tuple[str, str]]) -> Gtk.ComboBox:
    model = Gtk.ListStore(str, str)
    for output in outputs:
        model.append(output)
    return GimpUi.prop_string_combo_box_new(config, "output", model, 0, 1)


def _source(config: Gimp.ProcedureConfig, trained: Gtk.Widget, own: Gtk.Widget) -> tuple[Gtk.Box, Gtk.Stack]:
    """Two buttons, and the pages that they turn to. ``config``'s style picture follows: without one, it is None."""
    pages = Gtk.Stack(vhomogeneous=True, hhomogeneous=True)
    for page in (trained, own):
        page.show()
        pages.add(page)
    pages.show()
    first = Gtk.RadioButton(label=_("Tr_ained style"), use_underline=True, draw_indicator=False)
    second = Gtk.RadioButton(label=_("Style fro_m a picture…"), use_underline=True, draw_indicator=False, group=first)
    buttons = Gtk.Box(homogeneous=True)
    buttons.get_style_context().add_class("linked")
    for button in (first, second):
        buttons.pack_start(button, True, True, 0)
    buttons.show_all()
    kept = [config.get_property("style-image")]

    def turn(_: Gtk.Widget) -> None:
        from_picture = second.get_active()
        pages.set_visible_child(own if from_picture else trained)
        file = kept[0] if from_picture else None
        if file is not config.get_property("style-image"):
            config.set_property("style-image", file)

    def follow(*_: object) -> None:
        # None comes from the first button, and when the user asks for other settings, such as the defaults.
        file = config.get_property("style-image")
        kept[0] = file or kept[0]
        (second if file else first).set_active(True)

    second.connect("toggled", turn)
    config.connect("notify::style-image", follow)
    follow()
    return buttons, pages


def _about_picture(engine: Engine, config: Gimp.ProcedureConfig, estimator: Estimator) -> tuple[bool, str, str]:
    """Whether painting can begin, how long it will take, and what to do."""
    try:
        engine.require_torch()
    except StyleError as error:
        return False, str(error), ""
    estimator.wish(recipe(config))
    if found := estimator.estimate:
        if found.device == "cpu":
            text = _("Takes {duration} on the CPU, with the feature network {network}.")
        else:
            text = _("Takes {duration} on the graphics card, with the feature network {network}.")
        time = text.format(network=found.feature_network, duration=duration(found.seconds))
    else:
        time = estimator.trouble or _("Finding out how long this takes…")
    if config.get_property("style-image") is None:
        return False, time, _("Choose a painting or any other picture whose style you want.")
    return True, time, _("You will see the painting develop, and can stop when you like it.")
