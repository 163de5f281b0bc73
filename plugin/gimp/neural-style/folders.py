"""Paint every picture of a folder into another folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import background
import image_files
import pixels
from gi.repository import Gimp, Gio
from painting import read_request
from showable import showable
from translation import _

from nst_core.base.errors import StyleError
from plugin.engine.api import Engine
from plugin.engine.machine.stopwatch import Stopwatch
from plugin.engine.messages import FastRequest, IterativeRequest


def paint_folder(engine: Engine, config: Gimp.ProcedureConfig, clock: Stopwatch) -> tuple[list[str], list[str]]:
    """Paint a folder as ``config`` says.

    Returns the names of the files written, and a sentence for each file that was skipped, both showable. ``clock``
    measures every stage except the writing of the last file. Raises StyleError, with nothing written, if the settings
    or the folders allow none of it.
    """
    folder, output = (_read_folder(config, name) for name in ("folder", "output-folder"))
    if output.samefile(folder):
        raise StyleError(
            _("The photos themselves are in {output}; choose another folder for the paintings.").format(output=output)
        )
    extension = (config.get_property("format") or "").removeprefix(".")
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    if not files:
        raise StyleError(_("There are no files in {folder}; choose a folder with pictures.").format(folder=folder))
    title, request = read_request(engine, config)
    if extension:
        _check_format(extension)
    file_painter = _FilePainter(engine, request, clock)
    written: list[str] = []
    skipped: list[str] = []
    for number, file in enumerate(files, 1):
        target = output / (f"{file.stem}.{extension}" if extension else file.name)
        try:
            if target.name in written:
                raise StyleError(_("another picture was saved as {name}.").format(name=target.name))
            if target.exists() and not config.get_property("overwrite"):
                raise StyleError(_("{target} already exists; set overwrite to replace it.").format(target=target))
            if target.exists() and any(target.samefile(photo) for photo in files):
                raise StyleError(
                    _("{target} is one of the photos; choose another folder for the paintings.").format(target=target)
                )
            text = _("{title}, {file} ({number} of {count})")
            text = text.format(title=title, file=file.name, number=number, count=len(files))
            clock.lap("write")
            file_painter.paint(file, target, text)
            written.append(target.name)
        except StyleError as error:
            skipped.append(_("{file} was skipped: {error}").format(file=file.name, error=error))
            background.show_message(skipped[-1])
    return [showable(name) for name in written], [showable(sentence) for sentence in skipped]


def _read_folder(config: Gimp.ProcedureConfig, name: str) -> Path:
    file = config.get_property(name)
    path = file.get_path() if file else None
    if path is None:
        raise StyleError(_("The argument {name} is missing; give a folder.").format(name=name))
    if not Path(path).is_dir():
        raise StyleError(_("There is no folder {path}; create it first or choose another one.").format(path=path))
    return Path(path)


def _check_format(extension: str) -> None:
    """Raise StyleError if GIMP cannot save files with this extension."""
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


@dataclass(frozen=True)
class _FilePainter:
    engine: Engine
    request: FastRequest | IterativeRequest
    clock: Stopwatch

    def paint(self, file: Path, target: Path, title: str) -> None:
        """Paint the visible content of an image file. Raises StyleError if GIMP cannot open, paint or save it."""
        image = image_files.open_image(Gio.File.new_for_path(str(file)))
        try:
            if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
                image.convert_rgb()
            Gimp.Selection.none(image)
            layer = _merge_visible(image)
            picture = pixels.read_layer(layer)
            self.clock.lap("read")
            (painted,) = background.run(lambda report: self.engine.paint([picture], self.request, report), title)
            self.clock.lap("wait", painted.seconds)
            background.show_messages_once(painted.notes)
            pixels.write_in_place(layer, layer, painted.picture)
            image_files.save_image(image, target)
        except OSError as error:
            raise StyleError(
                _("{target} cannot be written ({strerror}); choose another folder.").format(
                    target=target, strerror=error.strerror
                )
            ) from error
        finally:
            image.delete()


def _merge_visible(image: Gimp.Image) -> Gimp.Layer:
    """Return the image's only layer if it is a plain one, else merge the visible layers into one."""
    layers = image.get_layers()
    if len(layers) == 1 and not layers[0].is_group() and not layers[0].get_filters():
        return layers[0]
    return image.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE)
