"""The arguments of the filter's procedures.

GIMP asks for them before anything runs, so this uses the standard library and gi only.
"""

from __future__ import annotations

from collections.abc import Sequence

from gi.repository import Gimp, GLib, GObject
from translation import _

ARGUMENT_FLAGS = GObject.ParamFlags.READWRITE
# The settings of a painting, by the names of their arguments.
SETTINGS = (
    *("style", "style-image", "strength", "detail", "stroke-size", "full-resolution", "keep-colors"),
    *("method", "motifs", "brushwork", "size", "iterations", "features"),
    *("regions", "feather", "protect", "protected-strength"),
)
# What a folder run asks for besides.
FOLDER_SETTINGS = ("folder", "output-folder", "subfolders", "name", "format", "overwrite")
# The smallest and the largest value of each number, as in the engine, which cannot be imported yet.
RANGES = {
    "strength": (0, 100),
    "detail": (-1, 100),
    "stroke-size": (50, 200),
    "motifs": (0, 100),
    "brushwork": (0, 100),
    "size": (64, 8192),
    "iterations": (1, 100000),
    "feather": (0, 1000),
    "protected-strength": (0, 100),
}
STYLES_OWN_DETAIL = -1.0
# How to paint in the style of a picture.
AUTO, INSTANT, ITERATIVE = METHODS = "auto", "instant", "iterative"
# Where a painting goes, and where it goes if it is edited again: (value, label) each, the default first.
OUTPUTS = (("layer", _("New layer above")), ("in-place", _("Replace the layer's pixels")), ("image", _("New image")))
OUTPUTS_AGAIN = (("replace", _("Replace the painting")), ("layer", _("New layer above")))


def add_settings(procedure: Gimp.Procedure) -> None:
    """Add the arguments that ``SETTINGS`` names."""
    # A string, not a choice: GIMP remembers the values of a choice, and styles come and go.
    procedure.add_string_argument(
        "style",
        _("St_yle"),
        _("The name of a trained style, a mixture such as great-wave:0.6,udnie:0.4, or an .onnx style file"),
        "great-wave",
        ARGUMENT_FLAGS,
    )
    text = _("Paint in the style of this picture instead")
    # GIMP itself would refuse a file that no longer exists, in words that nobody understands.
    add_file(procedure, "style-image", _("Style p_icture"), text, Gimp.FileChooserAction.ANY, optional=True)
    text = _("How strong the style is, in percent; 0 leaves the photo unchanged")
    _add_number(procedure, "strength", _("Stren_gth (%)"), text, 100.0)
    text = _(
        "How much detail, such as faces and lettering, is kept, if the style has this setting; -1 uses the style's "
        "default"
    )
    _add_number(procedure, "detail", _("_Detail"), text, STYLES_OWN_DETAIL)
    text = _("Size of the strokes, in percent of the style's own; not for the method iterative")
    _add_number(procedure, "stroke-size", _("Strok_e size (%)"), text, 100.0)
    procedure.add_boolean_argument(
        "full-resolution",
        _("Fi_ner strokes (slow)"),
        _(
            "Give strokes a fixed size in layer pixels, which looks finer in a larger layer and takes longer; by "
            "default stroke size follows the picture. Not for the method iterative"
        ),
        False,
        ARGUMENT_FLAGS,
    )
    procedure.add_boolean_argument(
        "keep-colors",
        _("_Keep the photo's colours"),
        _("Take only the strokes of the painting, and keep the colours of the photo"),
        False,
        ARGUMENT_FLAGS,
    )
    _add_picture_settings(procedure)


def _add_picture_settings(procedure: Gimp.Procedure) -> None:
    """Add the arguments for a style picture; their defaults are the engine's, which cannot be imported yet."""
    # A string for the reason that ``_add_number`` gives.
    procedure.add_string_argument(
        "method",
        _("_Method"),
        _(
            "With a style picture: instant, which takes seconds; iterative, which takes minutes and needs PyTorch; or "
            "auto, which is instant in the dialog and iterative in scripts"
        ),
        AUTO,
        ARGUMENT_FLAGS,
    )
    text = _("With the method instant: how much the picture's large shapes replace those of the photo, in percent")
    _add_number(procedure, "motifs", _("_Motifs (%)"), text, 60.0)
    text = _("With the method instant: how much the picture's strokes replace those of the photo, in percent")
    _add_number(procedure, "brushwork", _("_Brushwork (%)"), text, 40.0)
    text = _("With the method iterative: the longer side in pixels while painting; the result is enlarged")
    _add_number(procedure, "size", _("Si_ze (pixels)"), text, 512)
    text = _("With the method iterative: the number of steps")
    _add_number(procedure, "iterations", _("I_terations"), text, 300)
    procedure.add_string_argument(
        "features",
        _("_Feature network"),
        _(
            "With the method iterative: compact, vgg19, vgg16, a file with weights, or auto, which is vgg19 if it is "
            "on disk and compact otherwise"
        ),
        "auto",
        ARGUMENT_FLAGS,
    )
    _add_region_settings(procedure)


def _add_region_settings(procedure: Gimp.Procedure) -> None:
    procedure.add_string_argument(
        "regions",
        _("_Regions"),
        _(
            "Where other styles go, one a line, as in channel:sky=starry-night. Before the sign: selection, outside, "
            "mask, alpha, channel:NAME, or everything for the rest; after it: a trained style, a mixture, a picture's "
            "path, or none for the photo as it is"
        ),
        "",
        ARGUMENT_FLAGS,
    )
    text = _("By how many pixels the edges of regions and of the protected part soften on each side")
    _add_number(procedure, "feather", _("Feat_her (pixels)"), text, 0)
    procedure.add_string_argument(
        "protect",
        _("Protec_t"),
        _("Where less of the style goes: selection, outside, mask, alpha or channel:NAME; empty for nowhere"),
        "",
        ARGUMENT_FLAGS,
    )
    text = _("How much of the style the protected part takes, in percent")
    _add_number(procedure, "protected-strength", _("Protected stren_gth (%)"), text, 25.0)


def _add_number(procedure: Gimp.Procedure, name: str, label: str, text: str, default: float) -> None:
    # GIMP does not report a number outside an argument's range: it silently runs the procedure with the default
    # instead. So the argument allows any number, and ``check`` refuses it with a message. Only NaN and the infinities,
    # which are in no range, become the default. A choice would behave the same, so ``add_output`` adds a string.
    text = _("{text} ({least} to {most})").format(text=text, least=RANGES[name][0], most=RANGES[name][1])
    if isinstance(default, int):
        procedure.add_int_argument(name, label, text, GLib.MININT, GLib.MAXINT, default, ARGUMENT_FLAGS)
    else:
        procedure.add_double_argument(name, label, text, -GLib.MAXDOUBLE, GLib.MAXDOUBLE, default, ARGUMENT_FLAGS)


def add_file(
    procedure: Gimp.Procedure,
    name: str,
    label: str,
    text: str,
    action: Gimp.FileChooserAction = Gimp.FileChooserAction.OPEN,
    optional: bool = False,
) -> None:
    """Add an argument for a file or folder that exists."""
    procedure.add_file_argument(name, label, text, action, optional, None, ARGUMENT_FLAGS)


def add_output(procedure: Gimp.Procedure, outputs: Sequence[tuple[str, str]]) -> None:
    """Add the argument that says where the painting goes: one of ``OUTPUTS`` or ``OUTPUTS_AGAIN``."""
    text = _("Where the painting goes: {outputs}")
    text = text.format(outputs=", ".join(f'"{value}" ({label})' for value, label in outputs))
    procedure.add_string_argument("output", _("O_utput"), text, outputs[0][0], ARGUMENT_FLAGS)


def add_returned_layers(procedure: Gimp.Procedure, text: str) -> None:
    """Add an array of layers to what the procedure returns."""
    procedure.add_core_object_array_return_value("layers", _("Layers"), text, Gimp.Layer.__gtype__, ARGUMENT_FLAGS)


def chosen_detail(config: Gimp.ProcedureConfig) -> float | None:
    """Return the detail that ``config`` asks for; None for the style's own."""
    detail: float = config.get_property("detail")
    return None if detail < 0 else detail


def settle_method(config: Gimp.ProcedureConfig, run_mode: Gimp.RunMode) -> None:
    """Replace the method auto: people get the instant one, and scripts the one that they had before there were two."""
    if config.get_property("method") != AUTO:
        return
    if run_mode == Gimp.RunMode.INTERACTIVE:
        config.set_property("method", INSTANT)
    elif config.get_property("style-image"):
        config.set_property("method", ITERATIVE)


def is_iterative(config: Gimp.ProcedureConfig) -> bool:
    """Return whether ``config`` asks for an iterative render; regions are never painted by one."""
    from_picture = bool(config.get_property("style-image")) and not config.get_property("regions")
    return from_picture and config.get_property("method") == ITERATIVE


def check(config: Gimp.ProcedureConfig, outputs: Sequence[tuple[str, str]] = ()) -> None:
    """Check the values that GIMP does not. Needs the engine's packages to be importable.

    Raises StyleError if a number is outside its range, there is no such method or the output is not one of
    ``outputs``.
    """
    from nst_core.base.errors import StyleError

    for name, (least, most) in RANGES.items():
        value = config.get_property(name)
        if not least <= value <= most:
            text = _("The argument {name} is {value}; give a number from {least} to {most}.")
            raise StyleError(text.format(name=name, value=value, least=least, most=most))
    if (method := config.get_property("method")) not in METHODS:
        text = _("There is no method {method!r}; choose from {names}.")
        raise StyleError(text.format(method=method, names=", ".join(METHODS)))
    names = [value for value, _label in outputs]
    if outputs and (output := config.get_property("output")) not in names:
        text = _("There is no output {output!r}; choose from {names}.")
        raise StyleError(text.format(output=output, names=", ".join(names)))
