"""Turn the filter's settings and the layers of an image into painted layers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import background
import pixels
import records
import region_rows
from gi.repository import Gimp, Gio
from procedure_arguments import chosen_detail, is_iterative
from region_rows import EVERYTHING, RegionRow
from showable import showable
from subjects import PaintedLayer, Subject, Target
from translation import _

from nst_core.base.errors import StyleError
from plugin.engine.api import Engine
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.instant.instant_settings import READ_PIXELS, InstantSettings
from plugin.engine.machine.stopwatch import Stopwatch
from plugin.engine.messages import (
    FastRequest,
    InstantRequest,
    IterativeRequest,
    MixRequest,
    PicturePath,
    RawPicture,
    RegionsRequest,
    RegionStyleChoice,
    Request,
    StylePicture,
    StyleRequest,
)
from plugin.engine.regions.region_settings import NO_STYLE

if TYPE_CHECKING:
    from nst_core.base.recipes import Recipe

# Up to this number, pixels are read without asking an engine that may still be starting; it checks the memory later.
UNCHECKED_PIXELS = 2**24


@dataclass(frozen=True, eq=False)
class Painting:
    """A painting of a layer, its record, and its render, if that is worth keeping (see PaintedPicture)."""

    picture: RawPicture
    record: records.Record
    render: bytes


@dataclass(frozen=True, eq=False)
class KeptRender:
    """The render that a painted layer keeps, and the layer's record."""

    record: records.Record
    data: bytes


@dataclass(frozen=True)
class LayerPainter:
    """Paints the layers of one run of the filter.

    Attributes:
        engine: paints the pictures.
        config: the settings.
        clock: measures every stage except the writing.
        monitor: shows the progress and may end it early, or None.
    """

    engine: Engine
    config: Gimp.ProcedureConfig
    clock: Stopwatch
    monitor: background.ProgressMonitor | None = None

    def paint(
        self, layers: Sequence[Gimp.Layer], with_selection: bool = False, kept: KeptRender | None = None
    ) -> list[Painting]:
        """Paint layers, without changing the image.

        Returns a painting of each layer, or of the first layers if ``monitor`` stops it. If ``kept`` is the render that
        the settings ask for, it is mixed with the photo again.
        Raises StyleError if the settings or the layers do not allow it, and background.PaintingCancelledError if
        ``monitor`` is cancelled.
        """
        title, request = read_request(self.engine, self.config)
        # Even to read a picture can take too much memory.
        pixel_count = sum(layer.get_width() * layer.get_height() for layer in layers)
        if pixel_count > UNCHECKED_PIXELS:
            self.engine.check_pictures(pixel_count)
        with_selection = with_selection and not region_rows.uses_selection(self.config)
        pictures = [read_layer(layer, self.config, with_selection) for layer in layers]
        self.clock.lap("read")
        descriptions = self._describe(title, request, pictures)
        mixed = kept is not None and records.have_same_render(kept.record, descriptions[0])
        work: Request = MixRequest(kept.data, _read_blend(self.config)) if kept and mixed else request
        opened = self.monitor.layers if self.monitor else ()
        painted = background.run(
            lambda report: self.engine.paint(pictures, work, report, layers=opened), title, self.monitor
        )
        self.clock.lap("wait", *(each.seconds for each in painted))
        background.show_messages_once(note for each in painted for note in each.notes)
        for layer, picture in zip(layers, pictures, strict=True):
            if not layer.is_valid() or (layer.get_height(), layer.get_width()) != (picture.height, picture.width):
                raise StyleError(
                    _("The layer was removed or resized while it was being painted; run the filter again.")
                )
        return [
            Painting(each.picture, record, work.render if isinstance(work, MixRequest) else each.render)
            for each, record in zip(painted, descriptions, strict=False)
        ]

    def _describe(self, title: str, request: StyleRequest, pictures: Sequence[RawPicture]) -> list[records.Record]:
        """Return the records of the paintings of these pictures."""
        name, files = _layer_name(title, self.config), _style_files(request, self.config)
        if isinstance(request, IterativeRequest):
            return [records.describe(self.config, name, files, picture) for picture in pictures]
        return [records.describe(self.config, name, files)] * len(pictures)


def read_layer(layer: Gimp.Layer, config: Gimp.ProcedureConfig, with_selection: bool = False) -> RawPicture:
    """Read a layer with the masks that ``config`` names. Raises StyleError if one is missing."""
    masks = region_rows.read_masks(layer, config)
    return replace(pixels.read_layer(layer, with_selection), masks=masks)


def paint(subject: Subject, painter: LayerPainter) -> list[Gimp.Layer]:
    """Paint the subject in one undo step, and return the new or changed layers.

    If the monitor stops the painting, layers that were not begun are left out. Raises StyleError if the settings or the
    layers do not allow it, and background.PaintingCancelledError if the monitor is cancelled; the image is then
    unchanged.
    """
    config = painter.config
    output = config.get_property("output")
    subject.check(output)
    image, sources = subject.image, subject.sources
    paintings = painter.paint(sources, with_selection=output == "image")
    subject.check_layers(output)  # checks again: GIMP was not blocked all that time

    # The image changes only once everything is computed.
    if output == "image":
        pictures = [painting.picture for painting in paintings]
        layers = pixels.write_new_image(sources[: len(paintings)], paintings[0].record.name, pictures)
        for layer, painting in zip(layers, paintings, strict=True):
            records.write(layer, painting.record)
        return layers
    painted = {source.get_id(): painting for source, painting in zip(sources, paintings, strict=False)}
    written = [target for target in subject.targets if target.source.get_id() in painted]
    image.undo_group_start()
    try:
        # A selection that says which style goes where does not limit the painting.
        with pixels.selection_set_aside(image) if region_rows.uses_selection(config) else nullcontext():
            return _write(image, written, painted, output)
    finally:
        image.undo_group_end()


def _write(
    image: Gimp.Image, targets: Sequence[Target], painted: Mapping[int, Painting], output: str
) -> list[Gimp.Layer]:
    """Write the paintings, by the ids of their sources, into the targets or above them. Return the layers."""
    if output == "in-place":
        return [_write_in_place(target, painted[target.source.get_id()]) for target in targets]
    new_layers = []
    for target in _highest(targets):
        painting = painted[target.source.get_id()]
        new = pixels.write_above(target.layer, target.source, painting.record.name, painting.picture)
        records.write(new, painting.record, target.source, painting.render)
        new_layers.append(new)
    image.set_selected_layers(new_layers)
    return new_layers


def _write_in_place(target: Target, painting: Painting) -> Gimp.Layer:
    """Write the painting into the target's layer, and return the layer."""
    layer, source = target.layer, target.source
    pixels.write_in_place(layer, source, painting.picture)
    # A layer whose own pixels were painted no longer has them.
    if source.get_id() == layer.get_id():
        records.write(layer, painting.record)
    else:
        records.write(layer, painting.record, source, painting.render)
    return layer


def _highest(targets: Sequence[Target]) -> list[Target]:
    """Return, for each source, the target that lies highest."""
    highest: dict[int, Target] = {}
    for target in targets:
        other = highest.setdefault(target.source.get_id(), target)
        if pixels.position(target.layer) < pixels.position(other.layer):
            highest[target.source.get_id()] = target
    return list(highest.values())


def paint_again(painted: PaintedLayer, painter: LayerPainter) -> Gimp.Layer:
    """Paint the source again, in one undo step, and return the new layer, above the old painting or in its place.

    Raises StyleError if the settings or the layers do not allow it, and background.PaintingCancelledError if the
    monitor is cancelled; the image is then unchanged.
    """
    config, target = painter.config, painted.target
    layer, source = target.layer, target.source
    output = config.get_property("output")
    painted.check(output)
    render = records.read_render(layer)
    (painting,) = painter.paint([source], kept=KeptRender(painted.record, render) if render else None)
    painted.check_layers(output)  # checks again: GIMP was not blocked all that time
    # A name that the user gave stays.
    shown_name = painting.record.name if layer.get_name().startswith(painted.record.name) else layer.get_name()
    image = layer.get_image()
    image.undo_group_start()
    try:
        new = pixels.write_copy(layer, source, painting.picture, replace=output == "replace")
        new.set_name(shown_name)
        records.write(new, painting.record, source, painting.render)
        image.set_selected_layers([new])
    finally:
        image.undo_group_end()
    return new


def read_recipe(config: Gimp.ProcedureConfig) -> Recipe:
    """Return the recipe that ``config`` gives for a style from a picture."""
    from nst_core.base.presets import PRESETS

    default = PRESETS["default"]
    numbers = {name: config.get_property(name) for name in ("size", "iterations")}
    features = config.get_property("features") or ""
    return replace(default, settings=replace(default.settings, **numbers), features=features)


def check_style_picture(config: Gimp.ProcedureConfig) -> None:
    """Raise StyleError if ``config`` names a style picture that does not exist, as last values may."""
    file = config.get_property("style-image")
    if file and not file.query_exists(None):
        raise StyleError(
            _("There is no style picture {name}; choose another one.").format(name=file.get_path() or file.get_uri())
        )


def read_instant_settings(config: Gimp.ProcedureConfig) -> InstantSettings:
    """Return the settings that ``config`` gives for painting in the style of a picture at once."""
    return InstantSettings(config.get_property("motifs"), config.get_property("brushwork"), read_fast_settings(config))


def find_style_picture(engine: Engine, file: Gio.File) -> StylePicture:
    """Return what the engine needs to paint in the style of a picture file.

    GIMP opens the formats that the engine cannot read. Raises StyleError if GIMP cannot open it either.
    """
    path = file.get_path()
    try:
        modified = Path(path).stat().st_mtime_ns if path else 0
    except OSError:
        modified = 0
    return _find_style_picture(engine.reads_picture, file.get_uri(), path, modified)


@functools.lru_cache(maxsize=8)  # every change in the dialog asks for it
def _find_style_picture(is_readable: Callable[[str], bool], uri: str, path: str | None, modified: int) -> StylePicture:
    if path and is_readable(path):
        return PicturePath(path, modified)
    return pixels.read_file(Gio.File.new_for_uri(uri), READ_PIXELS)


def read_fast_settings(config: Gimp.ProcedureConfig) -> FastSettings:
    """Return the settings that ``config`` gives for a trained style."""
    return FastSettings(
        stroke_size=config.get_property("stroke-size"),
        full_resolution=config.get_property("full-resolution"),
        detail=chosen_detail(config),
        blend=_read_blend(config),
    )


def read_request(engine: Engine, config: Gimp.ProcedureConfig) -> tuple[str, StyleRequest]:
    """Return the title of the style and the request that ``config`` describes.

    Raises StyleError if there is no such style, or if PyTorch is missing for an iterative render.
    """
    rows = region_rows.read_rows(config)
    if rows:
        return _read_region_request(engine, config, rows)
    file = config.get_property("style-image")
    if file:
        check_style_picture(config)
        title = PurePath(file.get_basename()).stem
        if is_iterative(config):
            engine.require_torch()
            return title, IterativeRequest(pixels.read_file(file), read_recipe(config), _read_blend(config))
        pictures = ((find_style_picture(engine, file), 1.0),)
        return title, InstantRequest(pictures, read_instant_settings(config))
    styles = find_styles(config.get_property("style") or "")
    return " + ".join(style.title for style in styles), FastRequest(styles, read_fast_settings(config))


def _read_region_request(
    engine: Engine, config: Gimp.ProcedureConfig, rows: Sequence[RegionRow]
) -> tuple[str, RegionsRequest]:
    """Return the titles of the styles, and the request to paint each row's region and the rest."""
    regions, rest = find_region_styles(engine, config, rows)
    titles = dict.fromkeys(filter(None, map(_title_of, [*regions, rest])))
    return " + ".join(titles), RegionsRequest(regions, rest, read_instant_settings(config))


def find_region_styles(
    engine: Engine, config: Gimp.ProcedureConfig, rows: Sequence[RegionRow]
) -> tuple[tuple[RegionStyleChoice, ...], RegionStyleChoice]:
    """Return the style of each row's region, and that of the rest. Raises StyleError if one does not exist."""
    choices = [(row.where, _find_style(engine, row.style)) for row in rows]
    regions = tuple(choice for where, choice in choices if where != EVERYTHING)
    for where, choice in choices:
        if where == EVERYTHING:
            return regions, choice
    check_style_picture(config)
    file = config.get_property("style-image")
    if file:
        return regions, find_style_picture(engine, file)
    return regions, tuple(find_styles(config.get_property("style") or "").items())


def _find_style(engine: Engine, text: str) -> RegionStyleChoice:
    """Return the style that a row names: ``none``, a trained one or a mixture, or a picture's path or URI."""
    if text == NO_STYLE:
        return None
    if text.lower().endswith(".onnx") or not {"/", "\\"} & set(text):
        return tuple(find_styles(text).items())
    file = Gio.File.new_for_uri(text) if text.startswith("file://") else Gio.File.new_for_path(text)
    if not file.query_exists(None):
        raise StyleError(_("There is no style picture {name}; choose another one.").format(name=text))
    return find_style_picture(engine, file)


def _title_of(choice: RegionStyleChoice) -> str:
    if isinstance(choice, tuple):
        return " + ".join(style.title for style, _share in choice)
    return PurePath(choice.path).stem if isinstance(choice, PicturePath) else ""


def _read_blend(config: Gimp.ProcedureConfig) -> BlendSettings:
    return BlendSettings(config.get_property("strength"), config.get_property("keep-colors"))


def _style_files(request: StyleRequest, config: Gimp.ProcedureConfig) -> set[Path]:
    """Return the files on this computer that the request's style comes from."""
    if isinstance(request, FastRequest):
        return {style.path for style in request.styles}
    if isinstance(request, RegionsRequest):
        choices = (*request.regions, request.rest)
        pictures = {Path(choice.path) for choice in choices if isinstance(choice, PicturePath)}
        return pictures | {style.path for choice in choices if isinstance(choice, tuple) for style, _share in choice}
    path = config.get_property("style-image").get_path()
    return {Path(path)} if path else set()


def _layer_name(title: str, config: Gimp.ProcedureConfig) -> str:
    return showable(f"Neural Style: {title}, {config.get_property('strength'):g} %")
