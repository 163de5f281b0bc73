#!/usr/bin/env python3
"""Filters > Artistic > Neural Style… in GIMP 3: the procedures, their run modes, and errors as messages.

GIMP starts this file to ask for the filter's names and arguments, so only the standard library and gi are imported
until the filter runs.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

START_SECONDS = time.perf_counter()  # before the other imports, which take time too
gc.disable()  # until everything is imported, because imports leave no garbage

from engine_connection import EngineConnection

CONNECTION = EngineConnection()
if "-run" in sys.argv:  # rather than -query
    CONNECTION.begin()

# gi imports asyncio, which loads OpenSSL if it can: a twentieth of the start, for connections that are never opened.
sys.modules["ssl"] = None  # type: ignore[assignment]
import gi

del sys.modules["ssl"]
gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")

import background
import installation
import log
import procedure_arguments
from gi.repository import Gimp, Gio, GLib, GObject
from procedure_arguments import ARGUMENT_FLAGS, OUTPUTS, OUTPUTS_AGAIN
from showable import showable
from translation import _

if TYPE_CHECKING:
    from plugin.engine.api import Engine
    from plugin.engine.machine.stopwatch import Stopwatch

    Work = Callable[[Engine, Stopwatch], list[GObject.Value] | None]

FILTER_PROCEDURE = "plug-in-neural-style"
AGAIN_PROCEDURE = "plug-in-neural-style-again"
FOLDER_PROCEDURE = "plug-in-neural-style-folder"
MENU = "<Image>/Filters/Artistic"


class NeuralStyle(Gimp.PlugIn):
    """The plug-in, as GIMP sees it."""

    def do_query_procedures(self) -> list[str]:
        """Return the names of the procedures."""
        # The dialog's Help button and F1 in the menu open these pages.
        self.set_help_domain("neural-style", Gio.File.new_for_path(str(installation.FILTER_FOLDER / "help")))
        return [FILTER_PROCEDURE, AGAIN_PROCEDURE, FOLDER_PROCEDURE]

    def do_set_i18n(self, name: str) -> bool:
        """Return False: translation.py translates the texts."""
        return False

    def do_create_procedure(self, name: str) -> Gimp.Procedure:
        """Return the procedure of this name."""
        create = {FILTER_PROCEDURE: _create_filter, AGAIN_PROCEDURE: _create_again, FOLDER_PROCEDURE: _create_folder}[
            name
        ]
        procedure = create(self, name)
        procedure.set_attribution("The Neural Style authors", "The Neural Style authors", "2026")
        return procedure


def _create_filter(plug_in: Gimp.PlugIn, name: str) -> Gimp.Procedure:
    procedure = Gimp.ImageProcedure.new(plug_in, name, Gimp.PDBProcType.PLUGIN, paint, None)
    procedure.set_image_types("RGB*, GRAY*")
    procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE | Gimp.ProcedureSensitivityMask.DRAWABLES)
    procedure.set_menu_label(_("_Neural Style…"))
    procedure.add_menu_path(MENU)
    procedure.set_documentation(
        _("Paint the selected layers in the style of a painting"),
        _(
            "Paints every selected layer in a trained style or, if a style picture is given, in the style of that "
            "picture: at once, or in minutes with PyTorch, as the method says. The selection limits where the style "
            "goes. Returns the new or changed layers."
        ),
        name,
    )
    procedure_arguments.add_settings(procedure)
    procedure_arguments.add_output(procedure, OUTPUTS)
    procedure_arguments.add_returned_layers(procedure, _("The new or changed layers"))
    return procedure


def _create_again(plug_in: Gimp.PlugIn, name: str) -> Gimp.Procedure:
    procedure = Gimp.ImageProcedure.new(plug_in, name, Gimp.PDBProcType.PLUGIN, paint_again, None)
    procedure.set_image_types("RGB*, GRAY*")
    procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE)
    procedure.set_menu_label(_("Neural Style: E_dit Again…"))
    procedure.add_menu_path(MENU)
    procedure.set_documentation(
        _("Change the settings of a painting that Neural Style made"),
        _(
            "Paints the original layer of a painting again, in its current state, and replaces the painting. The new "
            "layer keeps the old one's mask, opacity and mode. The selection is ignored. The dialog starts with the "
            "settings of the old painting; in a script, settings that are not given have the filter's defaults. Fails "
            "if the filter did not paint the layer, or if the layer that it was painted from no longer exists. Returns "
            "the new layer."
        ),
        name,
    )
    procedure_arguments.add_settings(procedure)
    procedure_arguments.add_output(procedure, OUTPUTS_AGAIN)
    procedure_arguments.add_returned_layers(procedure, _("The new painting"))
    return procedure


def _create_folder(plug_in: Gimp.PlugIn, name: str) -> Gimp.Procedure:
    procedure = Gimp.Procedure.new(plug_in, name, Gimp.PDBProcType.PLUGIN, paint_folder, None)
    procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.ALWAYS)
    procedure.set_menu_label(_("Neural Style: Paint a _Folder…"))
    procedure.add_menu_path(MENU)
    procedure.set_documentation(
        _("Paint all pictures of a folder in the style of a painting"),
        _(
            "Paints what is visible in every picture of a folder, and saves the paintings under the same names in "
            "another folder. Leaves out a painting that already exists unless overwrite is given, and a file that GIMP "
            "cannot open or that cannot be painted. Returns the names of the files written, a sentence for each "
            "painting that already exists, and for each file that was not painted a sentence with its name and the "
            "reason."
        ),
        name,
    )
    _add_folder_arguments(procedure)
    procedure_arguments.add_settings(procedure)
    for value, label, text in (
        ("painted", _("Painted"), _("The names of the files that were written")),
        ("skipped", _("Skipped"), _("The paintings that already exist")),
        ("failed", _("Failed"), _("The files that were not painted, and why")),
    ):
        procedure.add_string_array_return_value(value, label, text, ARGUMENT_FLAGS)
    return procedure


def _add_folder_arguments(procedure: Gimp.Procedure) -> None:
    # The first argument of every procedure in a menu.
    procedure.add_enum_argument(
        "run-mode",
        _("Run mode"),
        _("Whether to ask for the settings"),
        Gimp.RunMode.__gtype__,
        Gimp.RunMode.NONINTERACTIVE,
        ARGUMENT_FLAGS,
    )
    action = Gimp.FileChooserAction.SELECT_FOLDER
    for name, label, text in (
        ("folder", _("F_older"), _("The folder with the pictures")),
        ("output-folder", _("O_utput folder"), _("An existing folder for the paintings")),
    ):
        procedure_arguments.add_file(procedure, name, label, text, action)
    procedure.add_boolean_argument(
        "subfolders",
        _("With su_bfolders"),
        _("Also paint the pictures in subfolders, and keep the folder structure"),
        False,
        ARGUMENT_FLAGS,
    )
    procedure.add_string_argument(
        "name",
        _("N_ame"),
        _(
            "How to name the paintings: a pattern with {stem} (the picture's name), {style} (the style) and {ext} "
            "(the file extension)"
        ),
        "{stem}.{ext}",
        ARGUMENT_FLAGS,
    )
    procedure.add_string_argument(
        "format",
        _("For_mat"),
        _("The file extension of the format to save in, such as png; if empty, each painting has its picture's format"),
        "",
        ARGUMENT_FLAGS,
    )
    procedure.add_boolean_argument(
        "overwrite", _("O_verwrite"), _("Replace files that already exist in the output folder"), False, ARGUMENT_FLAGS
    )


def paint(
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: list[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    data: object,
) -> Gimp.ValueArray:
    """Run the filter: ask for the settings if interactive, and paint.

    A person who runs the filter on its own painting gets another painting of the photo, because the filter selects the
    new layer; a script gets what it asks for.
    """

    def work(engine: Engine, clock: Stopwatch) -> list[GObject.Value] | None:
        import painting
        import subjects

        monitor = None
        procedure_arguments.settle_method(config, run_mode)
        choices = subjects.find_subjects(drawables)
        subject = choices[-1] if run_mode == Gimp.RunMode.NONINTERACTIVE else choices[0]
        if run_mode == Gimp.RunMode.INTERACTIVE:
            from gui import dialog

            chosen = dialog.ask(engine, procedure, config, choices, OUTPUTS)
            if chosen is None:
                return None
            subject = chosen
            monitor = dialog.open_progress_window(engine, config, subject)
            clock.lap("dialog")
        procedure_arguments.check(config, OUTPUTS)
        painter = painting.LayerPainter(engine, config, clock, monitor)
        layers = painting.paint(subject, painter)
        if config.get_property("output") == "image" and run_mode != Gimp.RunMode.NONINTERACTIVE:
            with contextlib.suppress(TypeError):  # the constructor returns nothing if GIMP has no screen
                Gimp.Display.new(layers[0].get_image())
        return [_layer_array(layers)]

    return _run(procedure, run_mode, work)


def paint_again(
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: list[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    data: object,
) -> Gimp.ValueArray:
    """Edit a painting again: ask for the settings if interactive, starting with the painting's, and paint."""

    def work(engine: Engine, clock: Stopwatch) -> list[GObject.Value] | None:
        import painting
        import records
        import subjects

        painted = subjects.find_painted_layer(drawables)
        monitor = None
        if run_mode == Gimp.RunMode.INTERACTIVE:
            from gui import dialog

            records.apply_settings(painted.record.settings, config)
            procedure_arguments.settle_method(config, run_mode)
            if dialog.ask(engine, procedure, config, [painted], OUTPUTS_AGAIN, _("Neural Style: Edit Again")) is None:
                return None
            monitor = dialog.open_progress_window(engine, config, painted)
            clock.lap("dialog")
        procedure_arguments.settle_method(config, run_mode)
        procedure_arguments.check(config, OUTPUTS_AGAIN)
        layer = painting.paint_again(painted, painting.LayerPainter(engine, config, clock, monitor))
        if run_mode != Gimp.RunMode.INTERACTIVE:  # the dialog has said it
            background.show_messages_once(filter(None, [records.describe_change(painted.record, records.read(layer))]))
        return [_layer_array([layer])]

    return _run(procedure, run_mode, work)


def paint_folder(procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, data: object) -> Gimp.ValueArray:
    """Paint the pictures of a folder: ask for the settings if interactive, and report at the end."""
    run_mode = config.get_property("run-mode")

    def work(engine: Engine, clock: Stopwatch) -> list[GObject.Value] | None:
        import folders

        window = None
        if run_mode == Gimp.RunMode.INTERACTIVE:
            from gui import folder_dialog, folder_window

            if not folder_dialog.ask(procedure, config):
                return None
            window = folder_window.FolderWindow()
            clock.lap("dialog")
        procedure_arguments.settle_method(config, run_mode)
        procedure_arguments.check(config)
        try:
            report = folders.paint_folder(engine, config, clock, window)
        finally:
            if window:
                window.finish()
        if window:
            sentences = [*report.failed, *report.skipped]
            output = config.get_property("output-folder").get_path()
            folder_window.show_report(len(report.painted), report.unfinished, sentences, output)
        else:
            for sentence in report.failed:
                background.show_message(sentence)
        values = (report.painted, report.skipped, report.failed)
        return [GObject.Value(GObject.TYPE_STRV, names) for names in values]

    return _run(procedure, run_mode, work)


def _run(procedure: Gimp.Procedure, run_mode: Gimp.RunMode, work: Work) -> Gimp.ValueArray:
    """Call ``work`` with the engine, and return its values to GIMP, or nothing if it was cancelled, or an error."""
    try:
        return _run_connected(procedure, run_mode, work)
    finally:
        CONNECTION.leave()


def _run_connected(procedure: Gimp.Procedure, run_mode: Gimp.RunMode, work: Work) -> Gimp.ValueArray:
    try:
        engine = CONNECTION.connect()
    except installation.InstallationError as error:
        return _fail(procedure, run_mode, str(error), log.write_error(str(error)))
    finally:
        gc.freeze()  # what is imported will not become garbage either
        gc.enable()
    from nst_core.base.errors import StyleError
    from plugin.engine.machine.stopwatch import Stopwatch
    from plugin.engine.process.lifetime import end_with_parent

    # GIMP's library also ends this process with GIMP, but by ``exit``, which destroys what the threads still use: they
    # crash, or wait for the main thread while it waits for them, and the process never ends.
    end_with_parent()
    clock = Stopwatch(START_SECONDS)
    clock.lap("start")
    # Errors of GIMP's procedures become part of our own message, so GIMP need not show them as well.
    procedure.get_plug_in().set_pdb_error_handler(Gimp.PDBErrorHandler.PLUGIN)
    try:
        values = work(engine, clock)
    except background.PaintingCancelledError:
        values = None
    except StyleError as error:
        sentence = str(CONNECTION.explain(error))
        # The engine's process may have printed why it ended.
        details = "\n".join(filter(None, (sentence, getattr(error, "printed", ""))))
        return _fail(procedure, run_mode, sentence, log.write_error(details))
    except Exception as error:  # nothing else would show it to the user
        details = log.write_error(traceback.format_exc())
        text = " ".join(str(error).split())
        sentence = _("Neural Style failed unexpectedly ({error}); the details are in {log}.").format(
            error=f"{type(error).__name__}: {text}", log=log.path()
        )
        return _fail(procedure, run_mode, sentence, details)
    if values is None:
        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
    return _succeed(procedure, values, clock)


def _succeed(procedure: Gimp.Procedure, values: list[GObject.Value], clock: Stopwatch) -> Gimp.ValueArray:
    """Show the changes, log the seconds of each stage, and return the values to GIMP."""
    if Gimp.default_display() is not None:  # without a screen GIMP would draw the image for nothing
        Gimp.displays_flush()
    clock.lap("write")
    log.write("Seconds: " + ", ".join(f"{stage} {seconds:.3f}" for stage, seconds in clock.seconds.items()))
    result = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
    for position, value in enumerate(values, 1):
        result.remove(position)
        result.insert(position, value)
    return result


def _fail(procedure: Gimp.Procedure, run_mode: Gimp.RunMode, sentence: str, details: str) -> Gimp.ValueArray:
    """Return an error to GIMP; if interactive, show it in our own window, so GIMP adds nothing."""
    sentence = showable(sentence)
    if run_mode == Gimp.RunMode.INTERACTIVE:
        from gui.error_dialog import show_error

        show_error(sentence, details)
        return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, None)
    error = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), sentence, 0)
    return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, error)


def _layer_array(layers: list[Gimp.Layer]) -> GObject.Value:
    """Return an array of layers.

    Python cannot create one, but GIMP returns one that holds the selected layers.
    """
    image = layers[0].get_image()
    selected = image.get_selected_layers()
    # GIMP keeps them in the opposite order, and ignores a change of the order alone.
    image.set_selected_layers(layers[:1])
    image.set_selected_layers(layers[::-1])
    get_selected_layers = Gimp.get_pdb().lookup_procedure("gimp-image-get-selected-layers")
    config = get_selected_layers.create_config()
    config.set_property("image", image)
    result = get_selected_layers.run(config)  # must live until its array is copied
    array = GObject.Value()
    array.init(GObject.GType.from_name("GimpCoreObjectArray"))
    array.set_boxed(result.index(1))
    image.set_selected_layers(selected)
    return array


Gimp.main(NeuralStyle.__gtype__, sys.argv)
