#!/usr/bin/env python3
"""Filters > Artistic > Neural Style… in GIMP 3: the procedure, its run modes, and errors as messages.

GIMP starts this file to learn what the filter is called and takes, so only the standard library and gi are imported
until the filter runs.
"""

from __future__ import annotations

import sys
import traceback

import gi

gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")

import installation  # noqa: E402
from gi.repository import Gimp, GLib, GObject  # noqa: E402

PROCEDURE = "plug-in-neural-style"


class NeuralStyle(Gimp.PlugIn):
    """What GIMP asks for."""

    def do_query_procedures(self) -> list[str]:
        return [PROCEDURE]

    def do_set_i18n(self, name: str) -> bool:
        return False

    def do_create_procedure(self, name: str) -> Gimp.Procedure:
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        procedure.set_image_types("RGB*, GRAY*")
        procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE | Gimp.ProcedureSensitivityMask.DRAWABLES)
        procedure.set_menu_label("_Neural Style…")
        procedure.add_menu_path("<Image>/Filters/Artistic")
        procedure.set_documentation(
            "Paint the selected layers in the style of a painting",
            "Paints every selected layer in a trained style or, if a style picture is given, in the style of that "
            "picture, which takes longer and needs PyTorch. The selection decides where the style goes. Returns the "
            "first new or changed layer.",
            name,
        )
        procedure.set_attribution("The Neural Style authors", "The Neural Style authors", "2026")
        _add_arguments(procedure)
        return procedure


def _add_arguments(procedure: Gimp.Procedure) -> None:
    flags = GObject.ParamFlags.READWRITE
    # A string, not a choice: GIMP remembers the values of a choice, and styles come and go.
    procedure.add_string_argument("style", "St_yle", "Name of a trained style", "great-wave", flags)
    procedure.add_file_argument(
        "style-image",
        "Style p_icture",
        "Paint in the style of this picture instead",
        Gimp.FileChooserAction.OPEN,
        True,
        None,
        flags,
    )
    procedure.add_double_argument(
        "strength", "Stren_gth", "How much of the style, in percent: 0 is the photo", 0.0, 100.0, 100.0, flags
    )
    output = Gimp.Choice.new()
    output.add("layer", 0, "New layer above", "The layer stays as it is")
    output.add("in-place", 1, "Change the layer", "The layer itself is painted over")
    procedure.add_choice_argument("output", "O_utput", "Where the painting goes", output, "layer", flags)
    # Defaults as in nst_core.settings.RenderSettings, which cannot be imported yet.
    procedure.add_int_argument(
        "size",
        "Si_ze (pixels)",
        "Pixels on the longer side while painting; the result is enlarged",
        64,
        4096,
        512,
        flags,
    )
    procedure.add_int_argument("iterations", "I_terations", "Steps of the painting", 1, 5000, 300, flags)
    procedure.add_string_argument(
        "features",
        "_Feature network",
        "compact, vgg19, vgg16, a file with weights, or auto: vgg19 if it is on disk, else compact",
        "auto",
        flags,
    )
    procedure.add_layer_return_value("layer", "Layer", "The first new or changed layer", True, flags)


def run(
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: list[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    data: object,
) -> Gimp.ValueArray:
    """GIMP's call: ask if interactive, paint, and answer with the layer or with one sentence."""
    try:
        installation.connect()
    except installation.InstallationError as error:
        return _failed(procedure, str(error))
    from nst_core.errors import StyleError

    # Errors of GIMP's procedures become part of our own sentence; GIMP need not show them as well.
    procedure.get_plug_in().set_pdb_error_handler(Gimp.PDBErrorHandler.PLUGIN)
    try:
        if run_mode == Gimp.RunMode.INTERACTIVE:
            import dialog

            if not dialog.ask(procedure, config):
                return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
        import painting

        layers = painting.paint(image, drawables, config)
    except StyleError as error:
        return _failed(procedure, str(error))
    except Exception as error:  # anything that gets past here reaches the user without a word
        traceback.print_exc()
        text = " ".join(str(error).split())
        return _failed(procedure, f"Neural Style failed unexpectedly ({type(error).__name__}: {text}).")
    result = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)
    result.remove(1)
    result.insert(1, GObject.Value(Gimp.Layer, layers[0]))
    return result


def _failed(procedure: Gimp.Procedure, sentence: str) -> Gimp.ValueArray:
    error = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), sentence, 0)
    return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, error)


Gimp.main(NeuralStyle.__gtype__, sys.argv)
