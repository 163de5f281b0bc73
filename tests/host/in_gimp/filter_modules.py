"""Calls modules of the filter directly, for what its procedures do not show."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gi
import numpy as np

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, Gio, GLib

from in_gimp.procedures import FILTER_PROCEDURE, set_arguments

if TYPE_CHECKING:
    from plugin.engine.api import Engine
    from plugin.engine.progress import Progress


@cache
def connect() -> Engine:
    """Make the filter's modules importable, and return its engine."""
    sys.path.insert(1, str(Path(Gimp.directory(), "plug-ins", "neural-style")))
    from engine_connection import EngineConnection

    return EngineConnection().connect()


def style_picture_size(path: str) -> tuple[int, int]:
    """Return width and height of a style picture, as the engine gets it."""
    connect()
    import pixels

    picture = pixels.read_file(Gio.File.new_for_path(path))
    return picture.width, picture.height


class StopAt:
    """A ProgressMonitor that stops once the picture with this number develops."""

    cancelled = False
    layers = ()

    def __init__(self, part: int) -> None:
        self.stopped = False
        self._part = part

    def show(self, progress: Progress) -> None:
        """Stop if it is time."""
        self.stopped = self.stopped or (progress.part == self._part and progress.iteration > 0)

    def close(self) -> None:
        """Do nothing."""


def paint_and_stop(drawables: list[int], part: int, **arguments: Any) -> list[int]:
    """Paint layers as the filter does, and stop once layer number ``part`` develops. Return the painted layers."""
    engine = connect()
    import painting
    import subjects

    from plugin.engine.machine.stopwatch import Stopwatch

    config = Gimp.get_pdb().lookup_procedure(FILTER_PROCEDURE).create_config()
    set_arguments(config, arguments)
    painter = painting.LayerPainter(engine, config, Stopwatch(), StopAt(part))
    items = [Gimp.Item.get_by_id(drawable) for drawable in drawables]
    return [layer.get_id() for layer in painting.paint(subjects.find_subjects(items)[-1], painter)]


def paint_from_sources(drawables: list[int], **arguments: Any) -> list[int]:
    """Paint layers as the filter does for a person: from their sources. Return the new or changed layers."""
    engine = connect()
    import painting
    import subjects

    from plugin.engine.machine.stopwatch import Stopwatch

    config = Gimp.get_pdb().lookup_procedure(FILTER_PROCEDURE).create_config()
    set_arguments(config, arguments)
    painter = painting.LayerPainter(engine, config, Stopwatch())
    items = [Gimp.Item.get_by_id(drawable) for drawable in drawables]
    return [layer.get_id() for layer in painting.paint(subjects.find_subjects(items)[0], painter)]


def show_message_once(sentence: str) -> None:
    """Show a sentence as the filter shows an engine's notes."""
    connect()
    import background

    background.show_messages_once([sentence])


def recorded_settings(layer: int) -> dict[str, Any]:
    """Return the settings in the layer's record."""
    connect()
    import records

    return records.read(Gimp.Item.get_by_id(layer)).settings


def make_record_older(layer: int) -> None:
    """Leave in the layer's record only what the first version wrote."""
    connect()
    import records

    item = Gimp.Item.get_by_id(layer)
    record = json.loads(bytes(item.get_parasite(records.PARASITE).get_data()))
    older = {key: record[key] for key in ("settings", "source", "name")}
    item.attach_parasite(Gimp.Parasite.new(records.PARASITE, records.PARASITE_FLAGS, json.dumps(older).encode()))


def preview(
    layer: int, styles: list[str], stroke_size: float = 100.0, corner: tuple[int, int] | None = None
) -> list[dict[str, Any]]:
    """Choose these styles at once, and return everything that the dialog's preview then shows, in order.

    It shows the whole layer at the size of its small copy or, with ``corner``, a part of that size from there on.
    """
    engine = connect()
    from gui.preview import Preview, open_layer

    from plugin.engine.fast.style_library import find_styles
    from plugin.engine.imaging.blend_settings import BlendSettings
    from plugin.engine.messages import Area, LayerView, PreviewRequest

    shown: list[dict[str, Any]] = []
    last = None

    def on_change() -> None:
        nonlocal last
        painting = started.painting
        if painting and painting is not last:
            last = painting
            seconds = time.monotonic() - start
            data = engine.mix_preview(opened.number, painting.result.number, view, BlendSettings())
            rgb = np.frombuffer(data, np.uint8).reshape(opened.height, opened.width, 3).astype(np.float32) / 255
            names = [style.name for style, _ in painting.request.styles]
            shown.append({"styles": names, "sketch": painting.sketch, "rgb": rgb, "seconds": seconds})

    preview_layer = open_layer(engine, Gimp.Item.get_by_id(layer))
    opened = preview_layer.opened
    area = Area(*corner, opened.width, opened.height) if corner else None
    view = LayerView(area or Area(0, 0, preview_layer.width, preview_layer.height), opened.width, opened.height)
    started = Preview(engine, preview_layer, on_change)
    start = time.monotonic()
    for style in styles:
        started.request(PreviewRequest(tuple(find_styles(style).items()), stroke_size, area))
    while started.busy:
        GLib.MainContext.default().iteration(True)
    started.close()
    if started.error:
        raise RuntimeError(started.error)
    return shown


def estimate(shape: tuple[int, int], sizes: list[int], features: str) -> list[tuple[float, str, str]]:
    """Type these sizes at once, and return every estimate that the dialog gives: seconds, feature network, error."""
    engine = connect()
    from gui.estimator import Estimator

    from nst_core.base.iterative_settings import PLAIN_SETTINGS
    from nst_core.base.recipes import Recipe

    answers: list[tuple[float, str, str]] = []

    def on_change() -> None:
        if answer := estimator.estimate:
            answers.append((answer.seconds, answer.feature_network, ""))
        else:
            answers.append((0.0, "", estimator.error))

    estimator = Estimator(engine, [shape], on_change)
    for size in sizes:
        estimator.request(Recipe(replace(PLAIN_SETTINGS, size=size, iterations=10), features))
    while not answers:
        GLib.MainContext.default().iteration(True)
    # A request that is closed at once gets no answer.
    estimator.request(Recipe(replace(PLAIN_SETTINGS, size=sizes[-1], iterations=10), features))
    estimator.close()
    while GLib.MainContext.default().iteration(False):
        pass
    return answers
