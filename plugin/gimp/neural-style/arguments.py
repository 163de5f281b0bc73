"""What the filter's procedures take. GIMP asks for this before anything runs: standard library and gi only."""

from __future__ import annotations

from gi.repository import Gimp, GObject

FLAGS = GObject.ParamFlags.READWRITE
# The settings of a painting, by the names of their arguments.
SETTINGS = (
    *("style", "style-image", "strength", "stroke-size", "full-resolution", "keep-colors"),
    *("size", "iterations", "features"),
)


def add_settings(procedure: Gimp.Procedure) -> None:
    """The arguments that ``SETTINGS`` names."""
    # A string, not a choice: GIMP remembers the values of a choice, and styles come and go.
    procedure.add_string_argument(
        "style",
        "St_yle",
        "Name of a trained style, a mixture such as great-wave:0.6,udnie:0.4, or an .onnx style file",
        "great-wave",
        FLAGS,
    )
    add_file(procedure, "style-image", "Style p_icture", "Paint in the style of this picture instead", none_ok=True)
    procedure.add_double_argument(
        "strength", "Stren_gth (%)", "How much of the style, in percent: 0 is the photo", 0.0, 100.0, 100.0, FLAGS
    )
    procedure.add_double_argument(
        "stroke-size",
        "Strok_e size (%)",
        "Size of the strokes, in percent of what the style was trained to paint; not for a style picture",
        50.0,
        200.0,
        100.0,
        FLAGS,
    )
    procedure.add_boolean_argument(
        "full-resolution",
        "Strokes at full resolutio_n",
        "Strokes of so many pixels of the layer itself, which look finer the larger it is, and take longer; else "
        "they are relative to the picture. Not for a style picture",
        False,
        FLAGS,
    )
    procedure.add_boolean_argument(
        "keep-colors",
        "_Keep the photo's colours",
        "Only the luminance is painted, the colours stay those of the photo",
        False,
        FLAGS,
    )
    # Defaults as in nst_core.settings.RenderSettings, which cannot be imported yet.
    procedure.add_int_argument(
        "size",
        "Si_ze (pixels)",
        "With a style picture: pixels on the longer side while painting; the result is enlarged",
        64,
        4096,
        512,
        FLAGS,
    )
    procedure.add_int_argument(
        "iterations", "I_terations", "With a style picture: steps of the painting", 1, 5000, 300, FLAGS
    )
    procedure.add_string_argument(
        "features",
        "_Feature network",
        "With a style picture: compact, vgg19, vgg16, a file with weights, or auto: vgg19 if it is on disk, else "
        "compact",
        "auto",
        FLAGS,
    )


def add_file(
    procedure: Gimp.Procedure,
    name: str,
    label: str,
    text: str,
    action: Gimp.FileChooserAction = Gimp.FileChooserAction.OPEN,
    none_ok: bool = False,
) -> None:
    """A file that is there, or a folder."""
    procedure.add_file_argument(name, label, text, action, none_ok, None, FLAGS)


def add_output(procedure: Gimp.Procedure, *choices: tuple[str, str, str]) -> None:
    """Where the painting goes, by default the first choice: (value, label, explanation) each."""
    choice = Gimp.Choice.new()
    for number, (value, label, text) in enumerate(choices):
        choice.add(value, number, label, text)
    names = " or ".join(f'"{value}"' for value, _, _ in choices)
    procedure.add_choice_argument(
        "output", "O_utput", f"Where the painting goes: {names}", choice, choices[0][0], FLAGS
    )


def add_layers_returned(procedure: Gimp.Procedure, text: str) -> None:
    """An array of layers as the procedure's answer."""
    procedure.add_core_object_array_return_value("layers", "Layers", text, Gimp.Layer.__gtype__, FLAGS)
