"""List the pictures to paint, name their paintings, and leave out those that are there already.

Standard library only. All that can be known before the work is checked here.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter

from nst_core.base.errors import StyleError
from nst_core.base.files import LONGEST_NAME
from nst_core.base.language import _

PATTERN_FIELDS = ("stem", "style", "ext")
DEFAULT_PATTERN, DEFAULT_PATTERN_OF_SEVERAL = "{stem}.{ext}", "{stem}-{style}.{ext}"
MOST_SHARDS = 100_000
# Characters that a file name cannot have in one of the usual file systems, or that would make it a path.
NOT_IN_NAMES = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')


@dataclass(frozen=True)
class BatchFormats:
    """The formats that a host can use, as extensions such as ``.png``.

    Attributes:
        readable: which files of a folder are pictures; None to try every file.
        writable: in which formats a painting can be saved; None if that is not known.
        fallback: the format of a painting if its picture's format cannot be written.
    """

    readable: frozenset[str] | None = None
    writable: frozenset[str] | None = None
    fallback: str = ".png"


@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts of the pictures, from 1; a machine paints one. Raises StyleError for numbers out of range.

    A picture's part depends on its path below the input folder, so machines that see the same folders under other paths
    agree on it, and it does not change when pictures are added.
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count <= MOST_SHARDS:
            count = max(1, min(self.count, MOST_SHARDS))
            raise StyleError(
                f"There is no part {self.number}/{self.count}; give one from 1/{count} to {count}/{count}."
            )

    def has(self, path: Path) -> bool:
        """Return whether a picture, given by its path below the input folder, belongs to this part."""
        digest = hashlib.sha256(os.fsencode(path.as_posix())).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1


@dataclass(frozen=True)
class BatchSettings:
    """What to paint, and where the paintings go.

    Attributes:
        inputs: pictures and folders with pictures.
        output: the folder for the paintings, which need not exist. It has the subfolders of an input folder and, if
            there are several input folders, a folder for each.
        styles: the names of the styles to paint each picture in.
        pattern: the name of a painting, with the fields ``{stem}``, ``{style}`` and ``{ext}``; "" for the default. Its
            folders, if it has any, come before those of the input.
        extension: the value of ``{ext}``, without a dot; "" for the picture's own.
        subfolders: whether pictures in subfolders are painted too.
        overwrite: whether to paint pictures again whose paintings are there already.
        also_read: files besides the pictures that no painting may replace.
        shard: the part of the pictures to paint; other machines paint the others.
        formats: the host's formats.
    """

    inputs: Sequence[Path]
    output: Path
    styles: Sequence[str]
    pattern: str = ""
    extension: str = ""
    subfolders: bool = True
    overwrite: bool = False
    also_read: Sequence[Path] = ()
    shard: Shard = Shard()
    formats: BatchFormats = BatchFormats()


@dataclass(frozen=True)
class BatchTask:
    """A picture to paint, the file for the painting, and the number of the style in ``BatchSettings.styles``."""

    source: Path
    target: Path
    style: int = 0


@dataclass(frozen=True)
class BatchPlan:
    """The paintings to make, those that are there already, and sentences that the user should see."""

    tasks: list[BatchTask]
    skipped: list[BatchTask]
    notes: list[str]


@dataclass(frozen=True)
class _Source:
    """A picture, and the folder for its paintings within the output folder."""

    path: Path
    folder: Path


@dataclass(eq=False)
class _Listing:
    """The pictures that were found, each once, and whether the output folder was among the input folders."""

    settings: BatchSettings
    sources: dict[str, _Source] = field(default_factory=dict)
    left_out_output: bool = False

    def add(self, path: Path, folder: Path) -> None:
        """Add a picture unless it is there already."""
        self.sources.setdefault(os.path.realpath(path), _Source(path, folder))

    def add_folder(self, root: Path, folder: Path) -> bool:
        """Add the pictures in a folder, in the order of their names, without hidden files and linked folders.

        Returns whether there are any.
        """
        any_pictures = False
        output = os.path.realpath(self.settings.output)
        readable = self.settings.formats.readable
        for place, names, files in os.walk(root, onerror=_refuse_folder):
            # os.walk descends into the folders that stay in the list.
            visible = sorted(name for name in names if not name.startswith(".")) if self.settings.subfolders else []
            names[:] = [name for name in visible if os.path.realpath(Path(place, name)) != output]
            self.left_out_output = self.left_out_output or len(names) < len(visible)
            for name in sorted(files):
                path = Path(place, name)
                is_picture = readable is None or path.suffix.lower() in readable
                if is_picture and not name.startswith(".") and path.is_file():
                    self.add(path, folder / Path(place).relative_to(root))
                    any_pictures = True
        return any_pictures


def plan_batch(settings: BatchSettings) -> BatchPlan:
    """Return the paintings to make, style by style.

    Raises StyleError, with nothing written, if an input does not exist, a folder has no pictures or cannot be read, or
    if a painting would have the name of another painting or of a picture.
    """
    _check_output(settings)
    pattern = settings.pattern or (DEFAULT_PATTERN_OF_SEVERAL if len(settings.styles) > 1 else DEFAULT_PATTERN)
    _check_pattern(pattern)
    listing = _list_pictures(settings)
    sources = list(listing.sources.values())
    tasks = [
        BatchTask(source.path, settings.output / name.parent / source.folder / name.name, number)
        for number, style in enumerate(settings.styles)
        for source in sources
        for name in [_painting_name(source.path, style, pattern, settings)]
    ]
    _check_names(tasks)
    existing = {task.target: status for task in tasks if (status := _status(task.target)) is not None}
    _check_kept([*(source.path for source in sources), *settings.also_read], existing)
    # All the names were checked, so the parts cannot write over each other either.
    ours = {source.path for source in sources if settings.shard.has(source.folder / source.path.name)}
    tasks = [task for task in tasks if task.source in ours]
    skipped = [] if settings.overwrite else [task for task in tasks if task.target in existing]
    notes = []
    if listing.left_out_output:
        text = _("The pictures in {output} are left out, because the paintings go there.")
        notes.append(text.format(output=settings.output))
    return BatchPlan([task for task in tasks if settings.overwrite or task.target not in existing], skipped, notes)


def _check_output(settings: BatchSettings) -> None:
    """Raise StyleError if the paintings cannot be written to the output folder, or would mix with an input's."""
    output = settings.output
    for path in settings.inputs:
        if path.is_dir() and os.path.realpath(path) == os.path.realpath(output):
            raise StyleError(
                _("The photos themselves are in {output}; choose another folder for the paintings.").format(
                    output=output
                )
            )
    if output.exists() and not output.is_dir():
        raise StyleError(_("{output} is a file; give a folder for the paintings.").format(output=output))
    existing = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    if not existing.is_dir():
        raise StyleError(_("{output} is a file; give a folder for the paintings.").format(output=existing))
    if not os.access(existing, os.W_OK):
        raise StyleError(_("The folder {folder} is not writable; choose another output.").format(folder=existing))


def _check_pattern(pattern: str) -> None:
    fields = ", ".join(f"{{{name}}}" for name in PATTERN_FIELDS)
    try:
        parts = list(Formatter().parse(pattern))
    except ValueError as error:
        raise StyleError(
            _("The name pattern {pattern!r} is not valid ({error}); use {fields} and plain text.").format(
                pattern=pattern, error=error, fields=fields
            )
        ) from error
    for _text, name, form, conversion in parts:
        if name is not None and (name not in PATTERN_FIELDS or form or conversion):
            raise StyleError(
                _("The name pattern {pattern!r} has an unknown field; use {fields} and plain text.").format(
                    pattern=pattern, fields=fields
                )
            )
    path = Path(pattern)
    if path.is_absolute() or ".." in path.parts or not path.name or pattern.endswith(("/", os.sep)):
        raise StyleError(
            _(
                "The name pattern {pattern!r} leaves the output folder or names no file; use {fields} and plain text."
            ).format(pattern=pattern, fields=fields)
        )


def _list_pictures(settings: BatchSettings) -> _Listing:
    listing = _Listing(settings)
    folders = [path for path in settings.inputs if path.is_dir()]
    for path in settings.inputs:
        if not path.exists():
            raise StyleError(_("There is no picture or folder {path}; check its name.").format(path=path))
        if not path.is_dir():
            listing.add(path, Path())
        elif not listing.add_folder(path, Path(path.resolve().name) if len(folders) > 1 else Path()):
            raise StyleError(_("There are no pictures in {folder}; choose a folder with pictures.").format(folder=path))
    return listing


def _refuse_folder(error: OSError) -> None:
    raise StyleError(
        _("The folder {folder} cannot be read ({strerror}); grant access or leave the folder out.").format(
            folder=error.filename, strerror=error.strerror
        )
    ) from error


def _painting_name(path: Path, style: str, pattern: str, settings: BatchSettings) -> Path:
    """Return the name of a painting, which may begin with folders. Raises StyleError if it cannot be written."""
    formats = settings.formats
    extension = f".{settings.extension}" if settings.extension else path.suffix
    if extension in ("", ".") or not (settings.extension or _can_write(extension, formats)):
        extension = formats.fallback
    name = Path(pattern.format(stem=path.stem, style=NOT_IN_NAMES.sub("-", style), ext=extension.removeprefix(".")))
    if not _can_write(name.suffix, formats):
        endings = ", ".join(sorted(formats.writable or ()))
        raise StyleError(
            _("{name} does not have a picture file's extension; use one of {endings}.").format(
                name=name, endings=endings
            )
        )
    if len(os.fsencode(name.name)) > LONGEST_NAME:
        raise StyleError(_("The name {name} is too long for a file; give a shorter one.").format(name=name))
    return name


def _can_write(extension: str, formats: BatchFormats) -> bool:
    return formats.writable is None or extension.lower() in formats.writable


def _check_names(tasks: Sequence[BatchTask]) -> None:
    """Raise StyleError if two paintings would have the same name."""
    first: dict[str, BatchTask] = {}
    for task in tasks:
        # The usual file systems of macOS and Windows ignore the case of letters.
        key = str(task.target) if sys.platform == "linux" else str(task.target).casefold()
        other = first.setdefault(key, task)
        if other is not task:
            raise StyleError(
                _(
                    "{one} and {other} would both be painted as {target}; rename one of them, or name the paintings "
                    "by {{stem}}, {{style}} and {{ext}} in a way that tells them apart."
                ).format(one=other.source, other=task.source, target=task.target)
            )


def _check_kept(read: Sequence[Path], existing: dict[Path, os.stat_result]) -> None:
    """Raise StyleError if a painting would replace a file of ``read``, also through links, or has a folder's name."""
    if not existing:
        return
    pictures = {(status.st_dev, status.st_ino) for path in read if (status := _status(path)) is not None}
    for target, status in existing.items():
        if (status.st_dev, status.st_ino) in pictures:
            text = _("{target} is one of the pictures to read; choose another folder for the paintings.")
            raise StyleError(text.format(target=target))
        if stat.S_ISDIR(status.st_mode):
            raise StyleError(_("{target} is a folder; choose another name for the paintings.").format(target=target))


def _status(path: Path) -> os.stat_result | None:
    """Return the system's status of a file, or None if there is no such file."""
    try:
        return path.stat()
    except (OSError, ValueError):
        return None
