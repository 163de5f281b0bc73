"""Makes one self-describing style file (.onnx) from a network, and proves that it computes the same."""

from __future__ import annotations

import base64
import io
import json
import re
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from PIL import Image
from torch import nn

from export.measure import SizeRules, open_quietly
from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from nst_core.fast.train import Checkpoint
from plugin.engine.fast.style_library import FORMAT_VERSION, PREFIX

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


def check_cards(cards: Sequence[StyleCard], styles: int) -> None:
    """Raise StyleError unless the cards are one for each style, with names that are usable and differ."""
    if len(cards) != styles:
        raise StyleError(f"There are {styles} styles, and {len(cards)} were described; describe each once (--cards).")
    names = [card.slug for card in cards]
    if len(set(names)) < len(names):
        raise StyleError(f"Two styles have the same name among {', '.join(names)}; give each its own.")


def export_styles(checkpoint: Checkpoint, cards: Sequence[StyleCard], photo: np.ndarray, path: Path) -> float:
    """Write ``path``, whole or not at all, with a card for each of the network's styles, in order.

    ``photo`` (uint8 [H, W, 3]) is painted for the thumbnails. Returns the largest difference between ONNX Runtime and
    PyTorch at CHECKED_SIZES. Raises StyleError if it exceeds TOLERANCE, the file cannot be written, or there are more
    or fewer cards than styles.
    """
    network = checkpoint.network.eval().cpu()
    check_cards(cards, network.settings.styles)  # told before the work, not after
    rules = SizeRules(
        multiple_of=1,
        minimum_size=network.settings.minimum_size,
        receptive_radius=network.settings.receptive_radius,
        bytes_per_pixel=network.settings.bytes_per_pixel,
    )
    origin = {
        "steps": checkpoint.step,
        "earlier_steps": checkpoint.earlier_steps,
        "started_from": checkpoint.started_from,
        "settings": json.dumps(asdict(checkpoint.settings)),
        "feature_network": checkpoint.feature_network,
        "style_sha256": " ".join(checkpoint.style_sha256),
        "photos": checkpoint.photos,
    }
    model = to_onnx(network, network.settings.styles)
    return write_styles(model, cards, rules, origin, photo, path, Reference("PyTorch's", in_torch(network)))


@dataclass(frozen=True)
class Reference:
    """What an exported network must compute.

    Attributes:
        owner: whose network it is, with an apostrophe, for the sentence that says it differs.
        run: the inputs of the graph by name, ``image`` (float32 [1, 3, H, W] in 0..1) and for several styles perhaps
            ``style_weights``, through the original: an array like ``image``.
        sizes: height and width of the pictures to compare at.
    """

    owner: str
    run: Callable[..., np.ndarray]
    sizes: tuple[tuple[int, int], ...] = CHECKED_SIZES


def in_torch(network: nn.Module) -> Callable[..., np.ndarray]:
    """The network as a function of arrays."""

    def run(**inputs: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network(**{name: torch.from_numpy(value) for name, value in inputs.items()}).numpy()

    return run


def write_styles(
    model: onnx.ModelProto,
    cards: Sequence[StyleCard],
    rules: SizeRules,
    origin: Mapping[str, object],
    photo: np.ndarray,
    path: Path,
    reference: Reference,
) -> float:
    """Describe a graph that holds to the style file's contract, check it, and write ``path``, whole or not at all.

    ``origin`` says how the network came to be. ``photo`` (uint8 [H, W, 3]) is painted for the thumbnails. Returns the
    largest difference from ``reference``. Raises StyleError if it exceeds TOLERANCE or the file cannot be written.
    """
    session = open_quietly(model)
    difference = largest_difference(session, reference, len(cards))
    if not difference <= TOLERANCE:
        raise StyleError(
            f"The exported network differs from {reference.owner} by {difference:.1e} (at most {TOLERANCE:.0e} is "
            "allowed); nothing was written."
        )
    entries = {
        "format": FORMAT_VERSION,
        "styles": json.dumps(
            [
                {
                    "name": card.slug,
                    "title": card.title,
                    "artist": card.artist,
                    "year": card.year,
                    "licence": card.licence,
                    "thumbnail": base64.b64encode(_thumbnail(session, photo, rules.multiple_of, weights)).decode(),
                }
                for card, weights in zip(cards, _each_style(len(cards)), strict=True)
            ]
        ),
        **asdict(rules),
        **{f"trained.{key}": value for key, value in origin.items()},
    }
    onnx.helper.set_model_props(model, {PREFIX + key: str(value) for key, value in entries.items()})
    onnx.checker.check_model(model, full_check=True)
    try:
        with written_whole(path) as partial:
            partial.write_bytes(model.SerializeToString())
    except OSError as error:
        raise StyleError(f"{path} cannot be written ({error.strerror}); choose another place.") from error
    return difference


def to_onnx(network: nn.Module, styles: int = 1) -> onnx.ModelProto:
    """The network as a graph: input ``image`` and output ``styled``, float32 [1, 3, H, W], H and W dynamic.

    With several styles it has the input ``style_weights`` too, float32 [1, styles], which may be left out: then the
    first style is painted.
    """
    size = torch.export.Dim.DYNAMIC
    inputs = {"image": torch.rand(1, 3, 64, 96)} | ({"style_weights": torch.eye(1, styles)} if styles > 1 else {})
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own parts
        file = Path(folder) / "style.onnx"
        torch.onnx.export(
            network,
            tuple(inputs.values()),
            file,
            input_names=list(inputs),
            output_names=["styled"],
            opset_version=OPSET,
            dynamic_shapes={name: {2: size, 3: size} if name == "image" else {} for name in inputs},
            external_data=False,
            dynamo=True,
            verbose=False,
        )
        model = onnx.load(file)
    if styles > 1:
        # An initializer of an input's name is its default.
        first = np.eye(1, styles, dtype=np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(first, "style_weights"))
    (opset,) = (entry.version for entry in model.opset_import if entry.domain == "")
    if opset != OPSET:
        raise StyleError(
            f"PyTorch exported opset {opset} in place of {OPSET}; use the PyTorch version of pyproject.toml."
        )
    return without_traces(model)


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, changed in place: without the notes of an exporter on itself, paths of a machine among them.

    PyTorch notes the place of every line of source, half of a small file.
    """
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        value.ClearField("metadata_props")
        value.ClearField("doc_string")
    model.graph.ClearField("metadata_props")
    model.graph.ClearField("doc_string")
    model.ClearField("doc_string")
    return model


def largest_difference(session: ort.InferenceSession, reference: Reference, styles: int = 1) -> float:
    """Between a style's session and ``reference``, over random pictures of its sizes, on the 0..1 range.

    Of several styles the first is painted first, without being named, and then mixtures.
    """
    random = np.random.default_rng(0)
    differences = []
    for number, (height, width) in enumerate(reference.sizes):
        inputs = {"image": random.random((1, 3, height, width), np.float32)}
        if number and styles > 1:
            inputs["style_weights"] = random.dirichlet(np.ones(styles))[None].astype(np.float32)
        expected = reference.run(**inputs)
        (found,) = session.run(["styled"], inputs)
        if found.shape != expected.shape:
            raise StyleError(
                f"The exported network answers {height}x{width} with {found.shape[2:]}; nothing was written."
            )
        differences.append(np.abs(found - expected).max())
    return float(np.max(differences))  # unlike Python's max(), it lets no NaN slip through


def _each_style(styles: int) -> list[dict[str, np.ndarray]]:
    """For each style the input that chooses it; a network of one style has no choice."""
    if styles == 1:
        return [{}]
    return [{"style_weights": weights[None]} for weights in np.eye(styles, dtype=np.float32)]


def _thumbnail(
    session: ort.InferenceSession, photo: np.ndarray, multiple_of: int, weights: Mapping[str, np.ndarray]
) -> bytes:
    height, width = (extent // multiple_of * multiple_of for extent in photo.shape[:2])
    image = photo[:height, :width].transpose(2, 0, 1)[None].astype(np.float32) / 255
    (styled,) = session.run(["styled"], {"image": image, **weights})
    picture = Image.fromarray(np.round(styled[0].transpose(1, 2, 0) * 255).astype(np.uint8))
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()
