"""Build pieces of the dialog's form that several of its parts use."""

from __future__ import annotations

from gi.repository import GimpUi, Gtk

SPACING = 12  # pixels between parts of a dialog


def add_labelled_row(dialog: GimpUi.ProcedureDialog, name: str, label_text: str, widget: Gtk.Widget) -> Gtk.Box:
    """Return a row, which the dialog knows as ``name``-row, of a label and a widget of our own."""
    label = dialog.get_label(f"{name}-label", label_text, False, True)
    label.set_xalign(0)
    label.set_mnemonic_widget(widget)
    row = dialog.fill_box(f"{name}-row", [f"{name}-label"])
    row.set_orientation(Gtk.Orientation.HORIZONTAL)
    row.set_spacing(6)
    row.pack_start(widget, True, True, 0)
    widget.show_all()
    return row


def limit_to_range(field: Gtk.SpinButton, limits: tuple[float, float]) -> None:
    """Allow only whole numbers within ``limits`` in a field."""
    field.set_range(*limits)
    field.set_increments(1, 10)
    field.set_digits(0)


def align_widths(*labels: Gtk.Label) -> None:
    """Make the labels as wide as the widest of them."""
    group = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
    for label in labels:
        group.add_widget(label)


def status_label(lines: int) -> Gtk.Label:
    """Return a label for text that can be copied, with room for this number of lines, so nothing moves as it comes."""
    label = Gtk.Label(wrap=True, xalign=0, yalign=0, width_chars=1, selectable=True)
    _width, height = label.create_pango_layout("\n".join("X" * lines)).get_pixel_size()
    label.set_size_request(-1, height)
    return label


def stand_out_when_checked(*buttons: Gtk.ToggleButton) -> None:
    """Give the chosen one of several buttons a colour; GIMP's themes hardly show it."""
    style = Gtk.CssProvider()
    # Not the theme's colours: GIMP gives every label the colour of text, which need not suit the theme's selection.
    style.load_from_data(
        b"button:checked { background: #1a5fb4; font-weight: bold; } button:checked label { color: white; }"
    )
    for button in buttons:
        for widget in (button, button.get_child()):
            widget.get_style_context().add_provider(style, Gtk.STYLE_PROVIDER_PRIORITY_APPLICATION)
