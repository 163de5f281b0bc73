"""Makes one self-describing style file (.onnx) from a trained network, and proves that it computes the same."""

from __future__ import annotations

import base64
import io
import re
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from PIL import Image

from nst_core.errors import StyleError
from nst_core.files import written_whole
from nst_core.train import Checkpoint
from nst_core.transformer import TransformerNetwork
from plugin.engine.style_library import FORMAT_VERSION, PREFIX

OPSET = 18
CHECKED_SIZES = ((64, 64), (61, 97), (200, 123), (33, 258))  # height, width
TOLERANCE = 1e-4  # on the 0..1 range
THUMBNAIL_SIDE = 160


@dataclass(frozen=True)
class StyleCard:
    """What the style file says of the artwork: ``licence`` is its rights, ``name`` the slug that scripts use."""

    title: str
    artist: str = ""
    year: str = ""
    licence: str = ""
    name: str = ""

    @property
    def slug(self) -> str:
        """``name``, or one made from the title."""
        slug = self.name or re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug):
            raise StyleError(f"The style name {slug!r} is not usable; give --name with letters, digits and hyphens.")
        return slug


def export_style(checkpoint: Checkpoint, card: StyleCard, photo: np.ndarray, path: Path) -> float:
    """Write ``path``, whole or not at all.

    ``photo`` (uint8 [H, W, 3]) is painted for the thumbnail. Returns the largest difference between ONNX Runtime and
    PyTorch at CHECKED_SIZES. Raises StyleError if it exceeds TOLERANCE or the file cannot be written.
    """
    name = card.slug
    network = checkpoint.network.eval().cpu()
    model = to_onnx(network)
    entries = {
        "format": FORMAT_VERSION,
        "name": name,
        "title": card.title,
        "artist": card.artist,
        "year": card.year,
        "licence": card.licence,
        "thumbnail": base64.b64encode(_thumbnail(network, photo)).decode(),
        "multiple_of": 1,
        "minimum_size": network.settings.minimum_size,
        "receptive_radius": network.settings.receptive_radius,
        "bytes_per_pixel": network.settings.bytes_per_pixel,
        "trained.steps": checkpoint.step,
        "trained.earlier_steps": checkpoint.earlier_steps,
        "trained.settings": checkpoint.settings,
        "trained.feature_network": checkpoint.feature_network,
        "trained.style_sha256": checkpoint.style_sha256,
        "trained.photos": checkpoint.photos,
    }
    onnx.helper.set_model_props(model, {PREFIX + key: str(value) for key, value in entries.items()})
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    difference = largest_difference(content, network)
    if not difference <= TOLERANCE:
        raise StyleError(
            f"The exported network differs from PyTorch's by {difference:.1e} (at most {TOLERANCE:.0e} is allowed); "
            "nothing was written."
        )
    try:
        with written_whole(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise StyleError(f"{path} cannot be written ({error.strerror}); choose another place.") from error
    return difference


def to_onnx(network: TransformerNetwork) -> onnx.ModelProto:
    """The network as a graph: input ``image`` and output ``styled``, float32 [1, 3, H, W], H and W dynamic."""
    size = torch.export.Dim.DYNAMIC
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own parts
        file = Path(folder) / "style.onnx"
        torch.onnx.export(
            network,
            (torch.rand(1, 3, 64, 96),),
            file,
            input_names=["image"],
            output_names=["styled"],
            opset_version=OPSET,
            dynamic_shapes={"image": {2: size, 3: size}},
            external_data=False,
            dynamo=True,
            verbose=False,
        )
        model = onnx.load(file)
    (opset,) = (entry.version for entry in model.opset_import if entry.domain == "")
    if opset != OPSET:
        raise StyleError(
            f"PyTorch exported opset {opset} in place of {OPSET}; use the PyTorch version of pyproject.toml."
        )
    # The exporter notes the place of every line of source: paths of this machine, and half of a small file.
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        value.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
    return model


def largest_difference(content: bytes, network: TransformerNetwork) -> float:
    """Between ONNX Runtime on the CPU and PyTorch, over random pictures of CHECKED_SIZES, on the 0..1 range."""
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    for height, width in CHECKED_SIZES:
        image = torch.rand(1, 3, height, width, generator=generator)
        with torch.no_grad():
            expected = network(image).numpy()
        (found,) = session.run(["styled"], {"image": image.numpy()})
        if found.shape != expected.shape:
            raise StyleError(
                f"The exported network answers {height}x{width} with {found.shape[2:]}; nothing was written."
            )
        largest = max(largest, float(np.abs(found - expected).max()))
    return largest


def _thumbnail(network: TransformerNetwork, photo: np.ndarray) -> bytes:
    image = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        styled = network(image)[0].permute(1, 2, 0).numpy()
    picture = Image.fromarray(np.round(styled * 255).astype(np.uint8))
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()
