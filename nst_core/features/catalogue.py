"""Load a feature network by name: torchvision's VGG-19 or VGG-16, our own compact network, or a file of weights."""

from __future__ import annotations

from pathlib import Path

from nst_core.base.errors import StyleError
from nst_core.base.language import _
from nst_core.features import weight_files
from nst_core.features.combined import CombinedNetwork
from nst_core.features.downloads import Download, DownloadProgress, continue_download, fetch
from nst_core.features.network import SMALLEST_PICTURE_SIDE, FeatureNetwork
from nst_core.features.normalize import normalized
from nst_core.features.vgg import VGGNetwork, build_compact, build_slim, build_vgg
from nst_core.pictures.photos import Photos

DOWNLOADS = {
    "vgg19": Download(
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        574673361,
    ),
    "vgg16": Download(
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        553433881,
    ),
}
# More photos would change almost nothing, and all of them are in memory at once.
REFERENCE_PHOTOS = 100
COMPACT = Path(__file__).with_name("compact.safetensors")


def available() -> dict[str, Path]:
    """Return the named networks that have their weights on disk, with the files."""
    files = {name: download.path for name, download in DOWNLOADS.items()} | {"compact": COMPACT}
    return {name: path for name, path in files.items() if path.is_file()}


def named(source: str) -> str:
    """Return ``source``, or for ``auto`` VGG-19 if it is on disk, else compact."""
    if source != "auto":
        return source
    return "vgg19" if "vgg19" in available() else "compact"


def is_known(source: str) -> bool:
    """Return whether ``source`` names feature networks alone and no file."""
    return all(name in ("auto", "compact", *DOWNLOADS) for name in source.split("+"))


def load_features(
    source: str,
    pooling: str = "max",
    reference_photos: Path | None = None,
    progress: DownloadProgress = continue_download,
) -> FeatureNetwork:
    """Load the feature network that ``source`` names.

    Args:
        source: ``vgg19`` or ``vgg16``, fetched on first use; ``compact``, which comes with this package; ``auto``:
            VGG-19 if it is on disk, else compact; a file of weights (see weight_files.py); or several of these joined
            with ``+``: then each layer comes from the first that has it.
        pooling: ``max`` or ``average``.
        reference_photos: a folder or a tar; the network is scaled to a mean activation of 1 over them (normalize.py).
        progress: called while a file is downloaded; returns False to stop.

    Raises StyleError if there is no such network or it cannot be downloaded.
    """
    if reference_photos is not None:
        photos = Photos(reference_photos, SMALLEST_PICTURE_SIDE)
        network = load_features(source, pooling, None, progress)
        return normalized(network, list(photos.wholes(REFERENCE_PHOTOS)))
    source = named(source)
    if source in DOWNLOADS:
        path = available().get(source) or fetch(DOWNLOADS[source], progress)
        return _network(source, path, pooling)
    if source == "compact":
        if not COMPACT.is_file():
            raise StyleError(
                _("The compact network's file {path} is missing; install Neural Style again.").format(path=COMPACT)
            )
        return _network(source, COMPACT, pooling)
    if Path(source).is_file():
        return _network(Path(source).stem, Path(source), pooling)
    if "+" in source:
        return CombinedNetwork([load_features(part, pooling, None, progress) for part in source.split("+")])
    raise StyleError(
        _(
            "There is no feature network {source!r}: give auto, {downloads}, compact, a file of weights that "
            "exists, or several of these joined with +."
        ).format(source=source, downloads=", ".join(DOWNLOADS))
    )


def _network(name: str, path: Path, pooling: str) -> VGGNetwork:
    file = weight_files.read(path)
    if pooling != "max":
        name = f"{name}-{pooling}"  # results must not look like those of the network with maximum pooling
    if file.layout == "slim":
        return build_slim(name, file.state, pooling)
    if file.layout == "compact":
        return build_compact(name, file.state, pooling)
    return build_vgg(name, file.state, file.layout, file.preprocessing, pooling)
