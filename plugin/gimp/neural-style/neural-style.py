#!/usr/bin/env python3
"""Filters > Artistic > Neural Style… in GIMP 3: the procedures, their run modes, and errors as messages.

GIMP starts this file to learn what the filter is called and takes, so only the standard library and gi are imported
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

BEGAN = time.perf_counter()  # before the imports, which take time too
gc.disable()  # until all is imported, none of which is garbage

from engine_connection import EngineConnection  # noqa: E402

CONNECTION = EngineConnection()
if "-run" in sys.argv:  # rather than -query
    CONNECTION.begin()

# gi imports asyncio, which takes OpenSSL along if it can: a twentieth of the start, for connections that nobody opens.
sys.modules["ssl"] = None  # type: ignore[assignment]
import gi  # noqa: E402

del sys.modules["ssl"]
gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")

import background  # noqa: E402
import installation  # noqa: E402
import log  # noqa: E402
import procedure_arguments as arguments  # noqa: E402
from gi.repository import Gimp, Gio, GLib, GObject  # noqa: E402
from translation import _  # noqa: E402

if TYPE_CHECKING:
    from plugin.engine.api import Engine
    from plugin.engine.machine.stopwatch import Stopwatch

FILTER = "plug-in-neural-style"
AGAIN = "plug-in-neural-style-again"
FOLDER = "plug-in-neural-style-folder"
MENU = "<Image>/Filters/Artistic"


class NeuralStyle(Gimp.PlugIn):
    """What GIMP asks for."""

    def do_query_procedures(self) -> list[str]:
        # Where the dialog's Help button and F1 in the menu lead.
        self.set_help_domain("neural-style", Gio.File.new_for_path(str(installation.FOLDER / "help")))
        return [FILTER, AGAIN, FOLDER]

    def do_set_i18n(self, name: str) -> bool:
        return False

    def do_create_procedure(self, name: str) -> Gimp.Procedure:
        procedure = {FILTER: _filter, AGAIN: _again, FOLDER: _folder}[name](self, name)
        procedure.set_attribution("The Neural Style authors", "The Neural Style authors", "2026")
        return procedure


def _filter(plug_in: Gimp.PlugIn, name: str) -> Gimp.Procedure:
    procedure = Gimp.ImageProcedure.new(plug_in, name, Gimp.PDBProcType.PLUGIN, paint, None)
    procedure.set_image_types("RGB*, GRAY*")
    procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE | Gimp.ProcedureSensitivityMask.DRAWABLES)
    procedure.set_menu_label(_("_Neural Style…"))
    procedure.add_menu_path(MENU)
    procedure.set_documentation(
        _("Paint the selected layers in the style of a painting"),
        _(
            "Paints every selected layer in a trained style or, if a style picture is given, in the style of that "
            "picture, which takes longer and needs PyTorch. The selection decides where the style goes. Returns the "
            "new or changed layers."
        ),
        name,
    )
    arguments.add_settings(procedure)
    arguments.add_output(procedure, arguments.OUTPUTS)
    arguments.add_layers_returned(procedure, _("The new or changed layers"))
    return procedure


def _again(plug_in: Gimp.PlugIn, name: str) -> Gimp.Procedure:
    procedure = Gimp.ImageProcedure.new(plug_in, name, Gimp.PDBProcType.PLUGIN, paint_again, None)
    procedure.set_image_types("RGB*, GRAY*")
    procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE)
    procedure.set_menu_label(_("Neural Style: E_dit Again…"))
    procedure.add_menu_path(MENU)
    procedure.set_documentation(
        _("Change the settings of a painting that Neural Style made"),
        _(
            "For a layer that the filter made above another one: paints that other layer as it is now once more, and "
            "puts the painting into the place of the old one, whose mask, opacity and mode stay; the selection plays "
            "no part. The dialog begins with the settings of the old painting. A script gives the settings: those "
            "that it leaves out have the filter's defaults. Fails if the layer is no such painting or if the layer "
            "below it was deleted. Returns the new layer."
        ),
        name,
    )
    arguments.add_settings(procedure)
    arguments.add_output(procedure, arguments.OUTPUTS_AGAIN)
    arguments.add_layers_returned(procedure, _("The new painting"))
    return procedure


def _folder(plug_in: Gimp.PlugIn, name: str) -> Gimp.Procedure:
    procedure = Gimp.Procedure.new(plug_in, name, Gimp.PDBProcType.PLUGIN, paint_folder, None)
    procedure.set_documentation(
        _("Paint all pictures of a folder in the style of a painting"),
        _(
            "Paints every picture in a folder, not in the folders within it, and saves the paintings under the same "
            "names in another folder. What is visible of a picture is painted. A file that GIMP cannot open or that "
            "cannot be painted is skipped, and so is a painting that is there already unless overwrite is given. "
            "Returns the names of the files written and, for each file skipped, a sentence with its name and the "
            "reason."
        ),
        name,
    )
    folder = Gimp.FileChooserAction.SELECT_FOLDER
    arguments.add_file(procedure, "folder", _("F_older"), _("The folder with the pictures"), folder)
    arguments.add_file(
        procedure, "output-folder", _("Output fol_der"), _("An existing folder for the paintings"), folder
    )
    procedure.add_string_argument(
        "format",
        _("For_mat"),
        _("Ending of the file format to save in, such as png; if empty, each painting has the format of its picture"),
        "",
        arguments.FLAGS,
    )
    procedure.add_boolean_argument(
        "overwrite", _("O_verwrite"), _("Replace files that are in the output folder already"), False, arguments.FLAGS
    )
    arguments.add_settings(procedure)
    for value, label, text in (
        ("painted", _("Painted"), _("Names of the files that were written")),
        ("skipped", _("Skipped"), _("Which files were skipped, and why")),
    ):
        procedure.add_string_array_return_value(value, label, text, arguments.FLAGS)
    return procedure


def paint(
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: list[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    data: object,
) -> Gimp.ValueArray:
    """The filter: ask if interactive, and paint."""

    def work(engine: Engine, clock: Stopwatch) -> list[GObject.Value] | None:
        watcher = None
        if run_mode == Gimp.RunMode.INTERACTIVE:
            from gui import dialog

            if not dialog.ask(engine, procedure, config, drawables, arguments.OUTPUTS):
                return None
            watcher = dialog.watcher(engine, config, drawables)
            clock.lap("dialog")
        arguments.check(config, arguments.OUTPUTS)
        import painting

        layers = painting.paint(engine, image, drawables, config, clock, watcher)
        if config.get_property("output") == "image" and run_mode != Gimp.RunMode.NONINTERACTIVE:
            with contextlib.suppress(TypeError):  # that a constructor gives nothing: GIMP has no screen
                Gimp.Display.new(layers[0].get_image())
        return [_array(layers)]

    return _answer(procedure, run_mode, work)


def paint_again(
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: list[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    data: object,
) -> Gimp.ValueArray:
    """Edit again: ask, beginning with the layer's settings, if interactive, and paint anew."""

    def work(engine: Engine, clock: Stopwatch) -> list[GObject.Value] | None:
        import painting

        earlier = painting.find_painting(image, drawables)
        watcher = None
        if run_mode == Gimp.RunMode.INTERACTIVE:
            import records
            from gui import dialog

            records.recall(earlier.record.settings, config)
            if not dialog.ask(
                engine, procedure, config, [earlier.source], arguments.OUTPUTS_AGAIN, with_selection=False
            ):
                return None
            watcher = dialog.watcher(engine, config, [earlier.source], with_selection=False)
            clock.lap("dialog")
        arguments.check(config, arguments.OUTPUTS_AGAIN)
        return [_array([painting.paint_again(engine, earlier, config, clock, watcher)])]

    return _answer(procedure, run_mode, work)


def paint_folder(procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, data: object) -> Gimp.ValueArray:
    """The batch procedure."""

    def work(engine: Engine, clock: Stopwatch) -> list[GObject.Value]:
        arguments.check(config)
        import folders

        return [GObject.Value(GObject.TYPE_STRV, names) for names in folders.paint_folder(engine, config, clock)]

    return _answer(procedure, Gimp.RunMode.NONINTERACTIVE, work)


def _answer(
    procedure: Gimp.Procedure, run_mode: Gimp.RunMode, work: Callable[[Engine, Stopwatch], list[GObject.Value] | None]
) -> Gimp.ValueArray:
    """Do ``work`` with the engine: its values, nothing if it was cancelled, or an error of one sentence."""
    try:
        return _answered(procedure, run_mode, work)
    finally:
        CONNECTION.leave()


def _answered(
    procedure: Gimp.Procedure, run_mode: Gimp.RunMode, work: Callable[[Engine, Stopwatch], list[GObject.Value] | None]
) -> Gimp.ValueArray:
    try:
        engine = CONNECTION.connect()
    except installation.InstallationError as error:
        return _failed(procedure, run_mode, str(error), log.write(str(error)))
    finally:
        gc.freeze()  # nor will it become garbage
        gc.enable()
    from nst_core.base.errors import StyleError
    from plugin.engine.machine.stopwatch import Stopwatch
    from plugin.engine.process.lifetime import end_with_parent

    # GIMP's library ends this process with GIMP too, but by ``exit``, which takes down what the threads are still
    # running in: they crash, or wait for the main thread while that waits for them, and the process stays for ever.
    end_with_parent()
    clock = Stopwatch(BEGAN)
    clock.lap("start")
    # Errors of GIMP's procedures become part of our own sentence; GIMP need not show them as well.
    procedure.get_plug_in().set_pdb_error_handler(Gimp.PDBErrorHandler.PLUGIN)
    try:
        values = work(engine, clock)
    except background.Cancelled:
        values = None
    except StyleError as error:
        # An engine in a process of its own may have printed why it ended.
        details = "\n".join(filter(None, (str(error), getattr(error, "printed", ""))))
        return _failed(procedure, run_mode, str(error), log.write(details))
    except Exception as error:  # anything that gets past here reaches the user without a word
        details = log.write(traceback.format_exc())
        text = " ".join(str(error).split())
        sentence = _("Neural Style failed unexpectedly ({error}); the details are in {log}.").format(
            error=f"{type(error).__name__}: {text}", log=log.place()
        )
        return _failed(procedure, run_mode, sentence, details)
    if values is None:
        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
    if Gimp.default_display() is not None:  # without a screen GIMP would draw the image for nobody
        Gimp.displays_flush()
    clock.lap("write")
    log.note("Seconds: " + ", ".join(f"{stage} {seconds:.3f}" for stage, seconds in clock.seconds.items()))
    result = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
    for position, value in enumerate(values, 1):
        result.remove(position)
        result.insert(position, value)
    return result


def _failed(procedure: Gimp.Procedure, run_mode: Gimp.RunMode, sentence: str, details: str) -> Gimp.ValueArray:
    """An error that says ``sentence``: in a window of ours if interactive, which GIMP then adds nothing to."""
    if run_mode == Gimp.RunMode.INTERACTIVE:
        from gui import error_dialog as complaint

        complaint.show_error(sentence, details)
        return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, None)
    error = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), sentence, 0)
    return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, error)


def _array(layers: list[Gimp.Layer]) -> GObject.Value:
    """An array of layers, which Python cannot make but GIMP can be asked for: that of the selected layers."""
    image = layers[0].get_image()
    selected = image.get_selected_layers()
    # GIMP keeps them in the opposite order, and takes the same layers in another order for no change.
    image.set_selected_layers(layers[:1])
    image.set_selected_layers(layers[::-1])
    asked = Gimp.get_pdb().lookup_procedure("gimp-image-get-selected-layers")
    config = asked.create_config()
    config.set_property("image", image)
    answer = asked.run(config)  # must live until its array is copied
    array = GObject.Value()
    array.init(GObject.GType.from_name("GimpCoreObjectArray"))
    array.set_boxed(answer.index(1))
    image.set_selected_layers(selected)
    return array


Gimp.main(NeuralStyle.__gtype__, sys.argv)
