"""Check before any work is done that the output can be written, and write files whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole

PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".avif", ".gif"}


def check_folder(path: Path) -> None:
    """Raise StyleError if the folder of ``path`` does not exist or is not writable, or if ``path`` is a folder."""
    if not path.parent.is_dir():
        raise StyleError(f"There is no folder {path.parent}; create it or choose another output.")
    if path.is_dir():
        raise StyleError(f"{path} is a folder; name a file in it.")
    if not os.access(path.parent, os.W_OK):
        raise StyleError(f"The folder {path.parent} is not writable; choose another output.")


def check_picture_output(path: Path) -> None:
    """Raise StyleError if a picture could not be written to ``path``."""
    check_folder(path)
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        endings = ", ".join(sorted(PICTURE_SUFFIXES))
        raise StyleError(f"{path.name} does not end like a picture file; use one of {endings}.")


def check_style_output(path: Path) -> None:
    """Raise StyleError if a style file could not be written to ``path``, or if PyTorch is missing."""
    from plugin.engine.iterative.iterative_painting import require_torch

    require_torch()
    check_folder(path)
    if path.suffix.lower() != ".onnx":
        raise StyleError(f"A style file ends in .onnx; name the output {path.with_suffix('.onnx').name}.")


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
