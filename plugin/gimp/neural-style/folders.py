"""Every picture of a folder, painted into another one. Needs the engine to be connected."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import background
import painting
import pixels
from gi.repository import Gimp, Gio
from translation import _

from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from plugin.engine.machine.stopwatch import Stopwatch
from plugin.engine.messages import FastRequest, IterativeRequest

if TYPE_CHECKING:
    from plugin.engine.api import Engine


def paint_folder(engine: Engine, config: Gimp.ProcedureConfig, clock: Stopwatch) -> tuple[list[str], list[str]]:
    """Paint as ``config`` says. Returns the names of the files written, and a sentence for each file skipped.

    ``clock`` measures all but the writing of the last file.

    Raises StyleError, nothing written, if the settings or the folders do not allow any of it.
    """
    folder, output = (_folder(config, name) for name in ("folder", "output-folder"))
    if output.samefile(folder):
        raise StyleError(
            _("{output} has the photos themselves; choose another folder for the paintings.").format(output=output)
        )
    ending = (config.get_property("format") or "").removeprefix(".")
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    if not files:
        raise StyleError(_("There are no files in {folder}; choose a folder with pictures.").format(folder=folder))
    title, how = painting.choose(engine, config)
    if ending:
        _check_format(ending)
    painted: list[str] = []
    skipped: list[str] = []
    for number, file in enumerate(files, 1):
        target = output / (f"{file.stem}.{ending}" if ending else file.name)
        try:
            if target.name in painted:
                raise StyleError(_("another picture was saved as {name}.").format(name=target.name))
            if target.exists() and not config.get_property("overwrite"):
                raise StyleError(_("{target} is there already; give overwrite to replace it.").format(target=target))
            text = _("{title}, {file} ({number} of {count})")
            text = text.format(title=title, file=file.name, number=number, count=len(files))
            clock.lap("write")
            _paint_file(engine, file, target, how, text, clock)
            painted.append(target.name)
        except StyleError as error:
            skipped.append(_("{file} was skipped: {error}").format(file=file.name, error=error))
            Gimp.message(skipped[-1])
    return painted, skipped


def _folder(config: Gimp.ProcedureConfig, name: str) -> Path:
    file = config.get_property(name)
    path = file.get_path() if file else None
    if path is None:
        raise StyleError(_("The argument {name} is missing; give a folder.").format(name=name))
    if not Path(path).is_dir():
        raise StyleError(_("There is no folder {path}; make it first or choose another one.").format(path=path))
    return Path(path)


def _check_format(ending: str) -> None:
    """Raise StyleError if GIMP saves no such files."""
    image = Gimp.Image.new(1, 1, Gimp.ImageBaseType.RGB)
    try:
        layer = Gimp.Layer.new(image, "dot", 1, 1, Gimp.ImageType.RGB_IMAGE, 100.0, Gimp.LayerMode.NORMAL)
        image.insert_layer(layer, None, 0)
        with TemporaryDirectory() as folder:
            pixels.save(image, Gio.File.new_for_path(str(Path(folder, f"dot.{ending}"))))
    except StyleError as error:
        raise StyleError(
            _("GIMP saves no pictures in the format {ending!r}; choose one such as png, jpg or tif.").format(
                ending=ending
            )
        ) from error
    finally:
        image.delete()


def _paint_file(
    engine: Engine, file: Path, target: Path, how: FastRequest | IterativeRequest, title: str, clock: Stopwatch
) -> None:
    image = pixels.load(Gio.File.new_for_path(str(file)))
    try:
        if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
            image.convert_rgb()
        Gimp.Selection.none(image)
        layers = image.get_layers()
        plain = len(layers) == 1 and not layers[0].is_group() and not layers[0].get_filters()
        layer = layers[0] if plain else image.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE)
        picture = pixels.read_layer(layer)
        clock.lap("read")
        (done,) = background.run(lambda report: engine.paint([picture], how, report), title)
        clock.lap("wait", done.seconds)
        background.tell_once(done.notes)
        pixels.write_in_place(layer, done.picture)
        with written_whole(target) as partial:
            pixels.save(image, Gio.File.new_for_path(str(partial)))
    except OSError as error:
        raise StyleError(
            _("{target} cannot be written ({strerror}); choose another folder.").format(
                target=target, strerror=error.strerror
            )
        ) from error
    finally:
        image.delete()
