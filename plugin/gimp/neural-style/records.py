"""The record of a painting: its settings, kept on its layer in a parasite, which undo and XCF files keep too."""

from __future__ import annotations

import base64
import functools
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from gi.repository import Gimp, Gio
from procedure_arguments import ITERATIVE, SETTINGS
from translation import _

from nst_core.base.errors import StyleError
from plugin.engine.messages import RawPicture

PARASITE = "neural-style"
# On a painted layer: the render, if it was painted iteratively, to mix it with its photo again in another way.
RENDER_PARASITE = "neural-style-render"
# The settings that a render depends on; the others only mix it with the photo.
RENDER_SETTINGS = ("style-image", "size", "iterations", "features")
# On a layer that was painted: a name of its own, which copies of the layer keep.
SOURCE_PARASITE = "neural-style-source"
PARASITE_FLAGS = Gimp.PARASITE_PERSISTENT | Gimp.PARASITE_UNDOABLE


@dataclass(frozen=True)
class Record:
    """The record of how a layer was painted.

    Attributes:
        settings: values by the names in ``SETTINGS``; files as URIs.
        source: GIMP's tattoo of the layer in the same image that was painted, which an XCF file keeps, or None.
        name: the name that the filter gave to the painting.
        source_name: the name in the parasite of that layer, which a duplicated image keeps too; empty in older records.
        style_sha256: of the files that the style came from; empty in older records.
        photo_sha256: of the pixels that were painted iteratively; empty for a trained style and in older records.
    """

    settings: dict[str, Any]
    source: int | None
    name: str
    source_name: str = ""
    style_sha256: tuple[str, ...] = ()
    photo_sha256: str = ""


def describe(
    config: Gimp.ProcedureConfig, name: str, style_files: Iterable[Path], photo: RawPicture | None = None
) -> Record:
    """Return the record of a painting with this name, without its source; ``photo`` was painted iteratively."""
    style_sha256 = tuple(sorted(map(_sha256, style_files)))
    return Record(read_settings(config), None, name, style_sha256=style_sha256, photo_sha256=photo_sha256(photo))


def write(layer: Gimp.Layer, record: Record, source: Gimp.Layer | None = None, render: bytes = b"") -> None:
    """Attach the record to ``layer``, which was painted from ``source`` in the same image, instead of an older one.

    ``render`` is what ``read_render`` will return.
    """
    if render:
        # In ASCII, because GIMP's Python takes no bytes above 127 here.
        layer.attach_parasite(Gimp.Parasite.new(RENDER_PARASITE, PARASITE_FLAGS, base64.b64encode(render)))
    elif layer.get_parasite(RENDER_PARASITE):
        layer.detach_parasite(RENDER_PARASITE)
    if source:
        record = replace(record, source=source.get_tattoo(), source_name=_name_source(source))
    layer.attach_parasite(Gimp.Parasite.new(PARASITE, PARASITE_FLAGS, json.dumps(asdict(record)).encode()))


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
    known = {field.name for field in fields(Record)}
    try:
        record = json.loads(bytes(parasite.get_data()))
        return Record(**{key: value for key, value in record.items() if key in known})  # a newer version may add keys
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise StyleError(
            _("The settings of {layer!r} cannot be read ({error}); paint it again.").format(
                layer=layer.get_name(), error=error
            )
        ) from error


def read_render(layer: Gimp.Layer) -> bytes:
    """Return the render that the layer keeps (see PaintedPicture.render), or nothing."""
    parasite = layer.get_parasite(RENDER_PARASITE)
    try:
        return base64.b64decode(bytes(parasite.get_data())) if parasite else b""
    except ValueError:
        return b""


def have_same_render(old: Record, new: Record) -> bool:
    """Return whether two records describe the same render, which may be mixed with its photo in another way."""
    return (
        bool(old.photo_sha256)
        and (old.photo_sha256, sorted(old.style_sha256)) == (new.photo_sha256, sorted(new.style_sha256))
        and all(old.settings.get(key) == new.settings.get(key) for key in RENDER_SETTINGS)
    )


def photo_sha256(photo: RawPicture | None) -> str:
    """Return the sha256 of a picture's size and pixels; empty without a picture."""
    if photo is None:
        return ""
    import hashlib  # not at the top: it loads OpenSSL, and the filter must start soon

    digest = hashlib.sha256(f"{photo.width} {photo.height} {photo.channels} {photo.eight_bits} ".encode())
    digest.update(photo.data)
    return digest.hexdigest()


def find_source(layer: Gimp.Drawable) -> Gimp.Layer | None:
    """Return the layer of the same image that ``layer`` was painted from, or None if there is none."""
    if layer.get_parasite(PARASITE) is None:
        return None
    try:
        record = read(layer)
    except StyleError:
        return None
    image = layer.get_image()
    by_tattoo = image.get_layer_by_tattoo(record.source) if record.source else None
    if not record.source_name or (by_tattoo and _source_name(by_tattoo) == record.source_name):
        return by_tattoo
    # A duplicated image has other tattoos.
    return next((other for other in _all_layers(image) if _source_name(other) == record.source_name), None)


def describe_change(old: Record, new: Record) -> str:
    """Return a sentence if the files of the style have changed between two records of the same style, or nothing."""
    same_style = all(old.settings.get(key) == new.settings.get(key) for key in ("style", "style-image"))
    if not same_style or not old.style_sha256 or sorted(old.style_sha256) == sorted(new.style_sha256):
        return ""
    return _("The style has changed since {name!r} was painted, so the painting will look different.").format(
        name=old.name
    )


def apply_settings(settings: dict[str, Any], config: Gimp.ProcedureConfig) -> None:
    """Set ``config`` to recorded settings, except those that this version does not have."""
    if settings.get("style-image") and "method" not in settings:
        settings = settings | {"method": ITERATIVE}  # the only one in older versions
    for key in settings.keys() & set(SETTINGS):
        value = settings[key]
        if key == "style-image" and value is not None:
            value = Gio.File.new_for_uri(value)
        config.set_property(key, value)


def read_settings(config: Gimp.ProcedureConfig) -> dict[str, Any]:
    """Return the values of ``SETTINGS`` as a record holds them."""
    values = {key: config.get_property(key) for key in SETTINGS}
    return {key: value.get_uri() if isinstance(value, Gio.File) else value for key, value in values.items()}


def _sha256(file: Path) -> str:
    """Return the sha256 of a file; empty if it cannot be read."""
    try:
        return _sha256_at(file, file.stat().st_mtime_ns)
    except OSError:
        return ""


@functools.cache
def _sha256_at(file: Path, _modified: int) -> str:
    import hashlib  # as above

    return hashlib.sha256(file.read_bytes()).hexdigest()


def _name_source(layer: Gimp.Layer) -> str:
    """Return the layer's name as a source, which it gets if it has none."""
    name = _source_name(layer)
    if not name:
        name = os.urandom(16).hex()
        layer.attach_parasite(Gimp.Parasite.new(SOURCE_PARASITE, PARASITE_FLAGS, name.encode()))
    return name


def _source_name(layer: Gimp.Layer) -> str:
    parasite = layer.get_parasite(SOURCE_PARASITE)
    return bytes(parasite.get_data()).decode(errors="replace") if parasite else ""


def _all_layers(image: Gimp.Image) -> list[Gimp.Layer]:
    """Return the layers of the image and of all its groups, from the top down."""
    layers: list[Gimp.Layer] = []
    waiting = list(image.get_layers())
    while waiting:
        layer = waiting.pop(0)
        layers.append(layer)
        if layer.is_group():
            waiting[:0] = layer.get_children()
    return layers
