"""Paint the pictures of a folder into another folder, with GIMP opening and saving them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import background
import image_files
import pixels
from gi.repository import Gimp, Gio
from painting import read_layer, read_request
from showable import showable
from translation import _

from nst_core.base.errors import StyleError
from plugin.engine.api import Engine
from plugin.engine.batch.batch_plan import BatchPlan, BatchSettings, BatchTask, plan_batch
from plugin.engine.batch.batch_run import Batch, BatchFailure
from plugin.engine.machine.stopwatch import Stopwatch
from plugin.engine.messages import FastRequest, StyleRequest
from plugin.engine.progress import StoppedError


class FolderMonitor(background.ProgressMonitor, Protocol):
    """A monitor that shows which of several pictures is being painted."""

    def begin(self, file: str, number: int, count: int) -> None:
        """Show that picture ``number``, from 1, of ``count`` begins."""


@dataclass(frozen=True)
class FolderReport:
    """The outcome for a folder's pictures, as texts to show.

    Attributes:
        painted: the names of the files that were written, below the output folder.
        skipped: a sentence for each painting that was there already.
        failed: a sentence for each picture that was not painted, with the reason.
        unfinished: how many pictures were left when the user cancelled.
    """

    painted: list[str]
    skipped: list[str]
    failed: list[str]
    unfinished: int = 0


def paint_folder(
    engine: Engine, config: Gimp.ProcedureConfig, clock: Stopwatch, monitor: FolderMonitor | None = None
) -> FolderReport:
    """Paint a folder as ``config`` says, until ``monitor`` is cancelled.

    ``clock`` measures every stage except the writing of the last file. Raises StyleError, with nothing written, if the
    settings or the folders do not allow it.
    """
    check_format(config)
    title, request = read_request(engine, config)
    name = "+".join(style.name for style in request.styles) if isinstance(request, FastRequest) else title
    plan = plan_folder(config, name)
    batch = Batch(plan.tasks)
    painter = _FilePainter(engine, config, request, clock, monitor)

    def paint(task: BatchTask) -> None:
        number, count = batch.done + 1, len(plan.tasks)
        if monitor:
            monitor.begin(showable(task.source.name), number, count)
        text = _("{title}, {file} ({number} of {count})")
        painter.paint(task, text.format(title=title, file=task.source.name, number=number, count=count))

    batch.run(paint)
    return _describe(config, plan, batch)


def plan_folder(config: Gimp.ProcedureConfig, style: str) -> BatchPlan:
    """Return which pictures are to be painted, and how the paintings are named.

    Raises StyleError if the folders do not allow it.
    """
    folder, output = (_read_folder(config, name) for name in ("folder", "output-folder"))
    return plan_batch(
        BatchSettings(
            inputs=[folder],
            output=output,
            styles=[style],
            pattern=config.get_property("name") or "",
            extension=_read_extension(config),
            subfolders=config.get_property("subfolders"),
            overwrite=config.get_property("overwrite"),
        )
    )


def check_format(config: Gimp.ProcedureConfig) -> None:
    """Raise StyleError if GIMP cannot save files in the format that ``config`` names."""
    extension = _read_extension(config)
    if not extension:
        return
    image = Gimp.Image.new(1, 1, Gimp.ImageBaseType.RGB)
    try:
        layer = Gimp.Layer.new(image, "dot", 1, 1, Gimp.ImageType.RGB_IMAGE, 100.0, Gimp.LayerMode.NORMAL)
        image.insert_layer(layer, None, 0)
        with TemporaryDirectory() as folder:
            path = Path(folder, f"dot.{extension}")
            image_files.export_image(image, path, path.name)
    except StyleError as error:
        raise StyleError(
            _("GIMP cannot save pictures in the format {extension!r}; choose one such as png, jpg or tif.").format(
                extension=extension
            )
        ) from error
    finally:
        image.delete()


def _read_extension(config: Gimp.ProcedureConfig) -> str:
    text: str = config.get_property("format") or ""
    return text.removeprefix(".")


def _read_folder(config: Gimp.ProcedureConfig, name: str) -> Path:
    file = config.get_property(name)
    path = file.get_path() if file else None
    if path is None:
        raise StyleError(_("The argument {name} is missing; give a folder.").format(name=name))
    if not Path(path).is_dir():
        raise StyleError(_("There is no folder {path}; create it first or choose another one.").format(path=path))
    return Path(path)


def _describe(config: Gimp.ProcedureConfig, plan: BatchPlan, batch: Batch) -> FolderReport:
    output = _read_folder(config, "output-folder")
    exists = _("{target} already exists; set overwrite to replace it.")
    return FolderReport(
        [showable(str(task.target.relative_to(output))) for task in batch.painted],
        [showable(exists.format(target=task.target)) for task in plan.skipped],
        [_describe_failure(failure) for failure in batch.failures],
        len(plan.tasks) - batch.done,
    )


def _describe_failure(failure: BatchFailure) -> str:
    text = _("{file} was not painted: {reason}")
    return showable(text.format(file=failure.task.source.name, reason=failure.reason))


@dataclass(frozen=True)
class _FilePainter:
    engine: Engine
    config: Gimp.ProcedureConfig
    request: StyleRequest
    clock: Stopwatch
    monitor: FolderMonitor | None

    def paint(self, task: BatchTask, title: str) -> None:
        """Paint the visible content of an image file.

        Raises StyleError if GIMP cannot open, paint or save it, and StoppedError if the monitor is cancelled.
        """
        if self.monitor and self.monitor.cancelled:
            raise StoppedError
        self.clock.lap("write")
        image = image_files.open_image(Gio.File.new_for_path(str(task.source)))
        try:
            if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
                image.convert_rgb()
            Gimp.Selection.none(image)
            layer = _merge_visible(image)
            picture = read_layer(layer, self.config)
            self.clock.lap("read")
            (painted,) = background.run(
                lambda report: self.engine.paint([picture], self.request, report), title, self.monitor
            )
            self.clock.lap("wait", painted.seconds)
            background.show_messages_once(painted.notes)
            pixels.write_in_place(layer, layer, painted.picture)
            image_files.save_image(image, task.target)
        except background.PaintingCancelledError as error:
            raise StoppedError from error
        finally:
            image.delete()


def _merge_visible(image: Gimp.Image) -> Gimp.Layer:
    """Return the image's only layer if it is a plain one, else merge the visible layers into one."""
    layers = image.get_layers()
    if len(layers) == 1 and not layers[0].is_group() and not layers[0].get_filters():
        return layers[0]
    return image.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE)
