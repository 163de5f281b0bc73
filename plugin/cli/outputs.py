"""Check before any work is done that the output can be written, and write files whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from nst_core.base.errors import StyleError
from nst_core.base.files import LONGEST_NAME, link_target, written_whole

NamedPath = tuple[str, Path | None]
"""What a file is, for people, and its path; None if the command has no such file."""

# The most pixels a side that libvips writes; PNG and TIFF take any picture that fits into memory.
LARGEST_SIDES = {".webp": 16383, ".avif": 16384, ".jpg": 65500, ".jpeg": 65500, ".gif": 65535}
# The least size of a file, as a share of its pixels' bytes: TIFF is not compressed, others hardly below a hundredth.
LEAST_SHARES = {".tif": 1.0, ".tiff": 1.0}
LEAST_SHARE = 0.01
# The least size of a style file, as a share of the checkpoint with Adam's two moments that it is made from.
LEAST_STYLE_SHARE = 1 / 4
PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".avif", ".gif"}


def check_folder(path: Path) -> None:
    """Raise StyleError if no file can be written to ``path``: because of its folder, its name, or a folder there.

    If ``path`` is a symbolic link, its target is checked.
    """
    length = len(os.fsencode(path.name))
    if length > LONGEST_NAME:
        raise StyleError(
            f"The file name {path.name[:40]}… has {length} bytes, and {LONGEST_NAME} is the most; choose a shorter "
            "name for the output."
        )
    path = link_target(path)
    if not path.parent.is_dir():
        raise StyleError(f"There is no folder {path.parent}; create it or choose another output.")
    if path.is_dir():
        raise StyleError(f"{path} is a folder; name a file in it.")
    if path.exists() and not path.is_file():
        raise StyleError(f"{path} is a pipe or a device; choose another output.")
    if not os.access(path.parent, os.W_OK):
        raise StyleError(f"The folder {path.parent} is not writable; choose another output.")


def check_apart(outputs: Sequence[NamedPath], inputs: Sequence[NamedPath]) -> None:
    """Raise StyleError if an output is the same file as an input or as another output, also through links.

    The files need not exist yet.
    """
    written = [(role, path) for role, path in outputs if path is not None]
    read = [(role, path) for role, path in inputs if path is not None]
    pairs = [((role, path), other) for role, path in written for other in read]
    for (role, path), (other_role, other_path) in [*pairs, *combinations(written, 2)]:
        if same_file(path, other_path):
            raise StyleError(f"The {role} {path} and the {other_role} are the same file; give each a name of its own.")


def same_file(one: Path, other: Path) -> bool:
    """Return whether two paths name one file, existing or not, also through symbolic and hard links."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))


def network_files(source: str | None) -> Iterator[NamedPath]:
    """Yield the weights files that ``--features`` or ``--teacher`` names."""
    for name in [source, *source.split("+")] if source else []:
        if name and Path(name).is_file():
            yield "feature network", Path(name)


def check_picture_output(path: Path) -> None:
    """Raise StyleError if a picture could not be written to ``path``."""
    check_folder(path)
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        endings = ", ".join(sorted(PICTURE_SUFFIXES))
        raise StyleError(f"{path.name} does not have a picture file's extension; use one of {endings}.")


def check_picture_fits(path: Path, width: int, height: int, bytes_per_pixel: int) -> None:
    """Raise StyleError if a picture is too large for the format of ``path``, or certainly for the free disk space."""
    suffix = path.suffix.lower()
    most = LARGEST_SIDES.get(suffix)
    if most and max(width, height) > most:
        raise StyleError(
            f"The picture has {width}x{height} pixels, and a {suffix} file at most {most} a side; write a .png or .tif."
        )
    check_room(path, width * height * bytes_per_pixel * LEAST_SHARES.get(suffix, LEAST_SHARE), "The result")


def check_room(path: Path, needed: float, subject: str) -> None:
    """Raise StyleError if less than ``needed`` bytes are free in the folder of ``path``.

    ``subject`` begins the sentence, such as "The result".
    """
    free = shutil.disk_usage(link_target(path).parent).free
    if needed > free:
        raise StyleError(
            f"{subject} takes at least {needed / 1e6:.1f} MB, and only {free / 1e6:.1f} MB are free in the folder of "
            f"{path}; free some space or choose another place."
        )


def check_style_output(path: Path, source: Path | None = None) -> None:
    """Raise StyleError if a style file could not be written to ``path``, or if PyTorch is missing.

    ``source`` is the checkpoint or network that it is made from.
    """
    from plugin.engine.iterative.iterative_painting import require_torch

    require_torch()
    check_folder(path)
    if path.suffix.lower() != ".onnx":
        raise StyleError(f"A style file ends in .onnx; name the output {path.with_suffix('.onnx').name}.")
    if source is not None and source.is_file():
        check_room(path, source.stat().st_size * LEAST_STYLE_SHARE, "The style file")


def write_file(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all. Raises StyleError if the disk does not take it.

    Encode a picture in memory first and write it with this: not every library notices that a disk has taken only part
    of a file.
    """
    try:
        with written_whole(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise StyleError(
            f"{path} cannot be written ({error.strerror}); free some space or choose another place."
        ) from error
