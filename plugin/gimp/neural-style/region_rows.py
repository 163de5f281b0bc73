"""Which style goes where: the settings ``regions`` and ``protect``, and the masks that they name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pixels
from gi.repository import Gimp
from translation import _

from nst_core.base.errors import StyleError
from plugin.engine.messages import Masks
from plugin.engine.regions.region_settings import MOST_REGIONS

CHANNEL = "channel:"
# Where a style goes, besides CHANNEL with a channel's name.
SELECTION, OUTSIDE, LAYER_MASK, ALPHA, EVERYTHING = "selection", "outside", "mask", "alpha", "everything"
PLACES = (SELECTION, OUTSIDE, LAYER_MASK, ALPHA)


@dataclass(frozen=True)
class RegionRow:
    """A row of the setting ``regions``: where, and the name of the style there."""

    where: str
    style: str


def parse_rows(text: str) -> list[RegionRow]:
    """Return the rows of the setting ``regions``, one a line, as in ``channel:sky=starry-night``.

    Raises StyleError for a line that cannot be read, and for too many.
    """
    rows = []
    for line in filter(None, map(str.strip, text.splitlines())):
        where, equals, style = (part.strip() for part in line.partition("="))
        if not (equals and style):
            raise StyleError(_("{line!r} is no region; write one as in channel:sky=starry-night.").format(line=line))
        _check_place(where, (*PLACES, EVERYTHING))
        rows.append(RegionRow(where, style))
    if len(rows) > MOST_REGIONS:
        raise StyleError(
            _("{count} regions are too many; give at most {most}.").format(count=len(rows), most=MOST_REGIONS)
        )
    return rows


def format_rows(rows: Sequence[RegionRow]) -> str:
    """Return rows as the setting ``regions`` holds them."""
    return "\n".join(f"{row.where}={row.style}" for row in rows)


def read_rows(config: Gimp.ProcedureConfig) -> list[RegionRow]:
    """Return the rows that ``config`` gives."""
    return parse_rows(config.get_property("regions") or "")


def uses_selection(config: Gimp.ProcedureConfig) -> bool:
    """Return whether the selection says where styles go, so it does not limit the painting."""
    places = {row.where for row in read_rows(config)} | {config.get_property("protect") or ""}
    return bool(places & {SELECTION, OUTSIDE})


def read_masks(layer: Gimp.Layer, config: Gimp.ProcedureConfig) -> Masks | None:
    """Read the masks that ``config`` names for a layer; None if it names none. Raises StyleError if one is missing."""
    rows = [row for row in read_rows(config) if row.where != EVERYTHING]
    protect = config.get_property("protect") or ""
    if not (rows or protect):
        return None
    if protect:
        _check_place(protect, PLACES)
    regions = tuple(_read_mask(layer, row.where) for row in rows)
    return Masks(
        layer.get_width(),
        layer.get_height(),
        regions,
        _read_mask(layer, protect) if protect else None,
        config.get_property("protected-strength"),
        config.get_property("feather"),
    )


def _check_place(where: str, places: Sequence[str]) -> None:
    if where not in places and not (where.startswith(CHANNEL) and len(where) > len(CHANNEL)):
        names = ", ".join([*places, f"{CHANNEL}NAME"])
        raise StyleError(_("There is no place {where!r}; choose from {names}.").format(where=where, names=names))


def _read_mask(layer: Gimp.Layer, where: str) -> bytes:
    """Return the mask of a place, one byte for each of the layer's pixels."""
    name = layer.get_name()
    if where in (SELECTION, OUTSIDE):
        selection = pixels.read_selection(layer)
        if selection is None:
            raise StyleError(_("Nothing is selected; select where the style goes, or choose another place."))
        return _inverted(selection) if where == OUTSIDE else selection
    if where == LAYER_MASK:
        mask = layer.get_mask()
        if mask is None:
            raise StyleError(_("The layer {layer!r} has no mask; add one, or choose another place.").format(layer=name))
        return pixels.read_values(mask, layer)
    if where == ALPHA:
        return pixels.read_alpha(layer)
    channel = layer.get_image().get_channel_by_name(where.removeprefix(CHANNEL))
    if channel is None:
        raise StyleError(
            _("There is no channel {name!r}; check its name in the Channels dock.").format(
                name=where.removeprefix(CHANNEL)
            )
        )
    return pixels.read_values(channel, layer)


def _inverted(mask: bytes) -> bytes:
    return mask.translate(bytes(range(255, -1, -1)))
