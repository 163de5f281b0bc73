"""The record of a painting: its settings, kept on its layer in a parasite, which undo and XCF files keep too."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gi.repository import Gimp, Gio
from procedure_arguments import SETTINGS
from translation import _

from nst_core.base.errors import StyleError

PARASITE = "neural-style"


@dataclass(frozen=True)
class Record:
    """The record of how a layer was painted.

    Attributes:
        settings: values by the names in ``SETTINGS``; files as URIs.
        source: GIMP's tattoo of the layer in the same image that was painted, which an XCF file keeps, or None.
        name: the name that the filter gave to the painting.
    """

    settings: dict[str, Any]
    source: int | None
    name: str


def write(layer: Gimp.Layer, config: Gimp.ProcedureConfig, source: Gimp.Layer | None, name: str) -> None:
    """Record on ``layer`` that it was painted from ``source`` in the same image, in place of an older record."""
    settings = {key: config.get_property(key) for key in SETTINGS}
    settings = {key: value.get_uri() if isinstance(value, Gio.File) else value for key, value in settings.items()}
    record = {"settings": settings, "source": source.get_tattoo() if source else None, "name": name}
    flags = Gimp.PARASITE_PERSISTENT | Gimp.PARASITE_UNDOABLE
    layer.attach_parasite(Gimp.Parasite.new(PARASITE, flags, json.dumps(record).encode()))


def read(layer: Gimp.Layer) -> Record:
    """Return the layer's record. Raises StyleError if it has none or if it is damaged."""
    parasite = layer.get_parasite(PARASITE)
    if parasite is None:
        raise StyleError(
            _(
                "{layer!r} was not painted by Neural Style, so it has no settings to edit; select the layer of a "
                "painting, or choose Filters > Artistic > Neural Style… for a new one."
            ).format(layer=layer.get_name())
        )
    try:
        return Record(**json.loads(bytes(parasite.get_data())))
    except (TypeError, ValueError) as error:
        raise StyleError(
            _("The settings of {layer!r} cannot be read ({error}); paint it again.").format(
                layer=layer.get_name(), error=error
            )
        ) from error


def find_source(layer: Gimp.Drawable) -> Gimp.Layer | None:
    """Return the layer of the same image that ``layer`` was painted from, or None if there is none."""
    if layer.get_parasite(PARASITE) is None:
        return None
    try:
        record = read(layer)
    except StyleError:
        return None
    return layer.get_image().get_layer_by_tattoo(record.source) if record.source else None


def apply_settings(settings: dict[str, Any], config: Gimp.ProcedureConfig) -> None:
    """Set ``config`` to recorded settings, except those that this version does not have."""
    for key in settings.keys() & set(SETTINGS):
        value = settings[key]
        if key == "style-image" and value is not None:
            value = Gio.File.new_for_uri(value)
        config.set_property(key, value)
