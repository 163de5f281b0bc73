"""Where feature networks come from: torchvision's VGG-19 and VGG-16, or a safetensors file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import torch
from safetensors import SafetensorError, safe_open

from nst_core import features
from nst_core.errors import StyleError


@dataclass(frozen=True)
class Download:
    """A weights file on the net. ``sha256`` is the beginning of its checksum, as torchvision names it."""

    url: str
    sha256: str
    mebibytes: int

    @property
    def path(self) -> Path:
        """Where it is kept: torch.hub's folder, shared with every other program that uses torchvision."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.url.rsplit("/", 1)[1]


DOWNLOADS = {
    "vgg19": Download("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", "dcbb9e9d", 548),
    "vgg16": Download("https://download.pytorch.org/models/vgg16-397923af.pth", "397923af", 528),
}


def available() -> dict[str, Path]:
    """The named networks whose weights are on disk, with their files."""
    return {name: download.path for name, download in DOWNLOADS.items() if download.path.is_file()}


def load_features(source: str, pooling: str = "max") -> features.FeatureNetwork:
    """The feature network called ``vgg19`` or ``vgg16`` (fetched on first use), or the one in a file.

    A file is a safetensors file with torchvision's keys (whole, or only its first layers; its metadata
    entry ``preprocessing`` tells Caffe's BGR 0..255 from torchvision's RGB) or a slim VGG-19 with heads.
    Raises StyleError with one sentence if there is no such network or no way to get it.
    """
    if source in DOWNLOADS:
        return features.vgg(source, _fetched(source), source, pooling=pooling)
    path = Path(source)
    if not path.is_file():
        raise StyleError(
            f"There is no feature network {source!r}: give {', '.join(DOWNLOADS)} or a .safetensors file that exists."
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no iterator of its own)
    except (SafetensorError, OSError) as error:
        raise StyleError(f"{path} cannot be read as safetensors weights ({error}); fetch or copy it again.") from error
    if "conv11.weight" in state:
        return features.slim(path.stem, state, pooling)
    preprocessing = features.CAFFE if metadata.get("preprocessing", "").startswith("BGR") else features.TORCHVISION
    # VGG-16's third block ends after features.14, so features.16 has another shape than VGG-19's.
    deep = state.get("features.16.weight")
    kind = "vgg16" if deep is None or deep.shape[1] != deep.shape[0] or deep.shape[0] != 256 else "vgg19"
    return features.vgg(path.stem, state, kind, preprocessing, pooling)


def _fetched(name: str) -> dict[str, torch.Tensor]:
    download = DOWNLOADS[name]
    if not download.path.is_file():
        download.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Writes to a temporary file and renames it only if the checksum is right.
            torch.hub.download_url_to_file(download.url, str(download.path), download.sha256)
        except (URLError, OSError, RuntimeError) as error:
            raise StyleError(
                f"The weights of {name} ({download.mebibytes} MiB) are not on this machine and could not be fetched "
                f"({error}); get {download.url} on another one and put it at {download.path}, "
                "or choose a weights file as the feature network."
            ) from error
    try:
        return torch.load(download.path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises a dozen kinds on a damaged file
        raise StyleError(f"{download.path} is damaged; delete it and try again.") from error
