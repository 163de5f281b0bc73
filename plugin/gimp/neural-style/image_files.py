"""Open and save image files through GIMP. For the main thread only; needs the engine to be connected."""

from __future__ import annotations

import os
from pathlib import Path

from gi.repository import Gimp, Gio
from translation import _

from nst_core.base.errors import StyleError

# The formats that can hold EXIF, XMP or a colour profile, by extension, with the names in GIMP's export procedures.
RICH_FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe"), "jpeg"),
    **dict.fromkeys((".tif", ".tiff"), "tiff"),
    **dict.fromkeys((".heic", ".heif"), "heif"),
    ".avif": "heif-av1",
    ".jxl": "jpegxl",
    ".png": "png",
    ".psd": "psd",
    ".webp": "webp",
}
ANIMATIONS = (".gif", ".webp")  # GIMP opens their frames as layers, the first one at the bottom
# What GIMP reports as the reason of an error if its procedure gives none: the names of its states.
NO_REASONS = ("success", "execution error", "calling error", "cancelled", "pass through")
SPARE_BYTES = 2**16


def open_image(file: Gio.File) -> Gimp.Image:
    """Open an image file, or an animation's first frame, and turn it upright. Raises StyleError if GIMP cannot."""
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    if image is None:
        name, reason = file.get_path() or file.get_uri(), last_error()
        raise StyleError(
            _("GIMP cannot open the picture {name} ({reason}); choose another one.").format(name=name, reason=reason)
        )
    # GIMP's procedures for opening leave the pixels as the camera stored them.
    image.policy_rotate(False)
    if Path(file.get_basename()).suffix.lower() in ANIMATIONS:
        for later_frame in image.get_layers()[:-1]:
            image.remove_layer(later_frame)
    return image


def save_image(image: Gimp.Image, path: Path) -> None:
    """Save the image in the format of the file's extension, with its metadata and colour profile, whole or not at all.

    Raises StyleError if GIMP cannot save it, and OSError if the disk does not take it.
    """
    from nst_core.base.files import written_whole

    with written_whole(path) as partial:
        try:
            export_image(image, partial, path.name)
            _check_saved(image, partial, path.name)
        finally:
            # Some of GIMP's exporters report success on a full disk, and others do not say why they failed.
            _check_room(path.parent)


def export_image(image: Gimp.Image, path: Path, name: str) -> None:
    """Save the image in the format of the file's extension. Raises StyleError, which calls it ``name``, if GIMP cannot.

    Replaces the file even if that fails.
    """
    file = Gio.File.new_for_path(str(path))
    procedure = Gimp.get_pdb().lookup_procedure(f"file-{RICH_FORMATS.get(path.suffix.lower())}-export")
    if procedure is None:
        saved = Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, file, None)
    else:
        saved = _export_with_metadata(image, file, procedure)
    if not saved:
        reason = last_error().replace(str(path), name).replace(path.name, name)
        raise StyleError(
            _("GIMP cannot save {name} ({reason}); choose another format or folder.").format(name=name, reason=reason)
        )


def last_error() -> str:
    """Return the reason that GIMP gives for the last error, without a full stop."""
    reason: str = Gimp.get_pdb().get_last_error().rstrip(".")
    return _("it gives no reason") if reason in NO_REASONS else reason


def _export_with_metadata(image: Gimp.Image, file: Gio.File, procedure: Gimp.Procedure) -> bool:
    """Return whether an export procedure has saved the image; by default it would keep nothing but the pixels."""
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_property("file", file)
    has_metadata = image.get_metadata() is not None
    for name, wanted in (
        ("include-exif", has_metadata),
        ("include-iptc", has_metadata),
        ("include-xmp", has_metadata),
        ("include-comment", image.get_parasite("gimp-comment") is not None),
        ("include-color-profile", image.get_color_profile() is not None),
        ("include-thumbnail", False),  # programs read the thumbnail in a TIFF file as a second page
    ):
        if config.find_property(name):
            config.set_property(name, wanted)
    status: Gimp.PDBStatusType = procedure.run(config).index(0)
    return bool(status == Gimp.PDBStatusType.SUCCESS)


def _check_saved(image: Gimp.Image, path: Path, name: str) -> None:
    """Raise StyleError unless GIMP can open what it saved, at the image's size."""
    saved = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(str(path)))
    size = None
    if saved is not None:
        size = saved.get_width(), saved.get_height()
        saved.delete()
    if size != (image.get_width(), image.get_height()):
        raise StyleError(
            _("GIMP saved {name}, but cannot open it again; choose another format or folder.").format(name=name)
        )


def _check_room(folder: Path) -> None:
    """Raise OSError if the disk of a folder is full."""
    import tempfile

    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(bytes(SPARE_BYTES))
        probe.flush()
        os.fsync(probe.fileno())
