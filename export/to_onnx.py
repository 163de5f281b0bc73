"""Write a network as one self-describing style file (.onnx), after checking that the file computes the same."""

from __future__ import annotations

import io
import json
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image
from torch import nn

from export.measure import open_quietly
from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from nst_core.base.onnx_runtime import ort
from nst_core.fast.training_checkpoint import TrainingCheckpoint
from nst_core.style_file import SizeRules, StyleCard, check_cards, row_weights, style_metadata

OPSET = 18
CHECKED_SIZES = ((64, 64), (61, 97), (200, 123), (33, 258))  # height, width
TOLERANCE = 1e-4  # on the 0..1 range
THUMBNAIL_SIDE = 160  # longer side in pixels


@dataclass(frozen=True)
class Reference:
    """The original that an exported network must agree with.

    Attributes:
        owner: the owner of the network, in the possessive, for the sentence that reports a difference.
        run: takes the inputs of the graph by name, ``image`` (float32 [1, 3, H, W] in 0..1) and, with several rows,
            perhaps ``style_weights``; returns an array like ``image``.
        sizes: height and width of the pictures to compare.
    """

    owner: str
    run: Callable[..., np.ndarray]
    sizes: tuple[tuple[int, int], ...] = CHECKED_SIZES


class ExportDifferenceError(StyleError):
    """A style file that would paint differently from the network it is made from."""


@dataclass(frozen=True)
class StyleModel:
    """A graph that keeps the style file's contract, with all that describes it.

    Attributes:
        model: takes ``image`` and, with several rows, ``style_weights``; returns ``styled`` (see ``to_onnx``).
        cards: one for each style, in order.
        rules: the picture sizes that it takes.
        origin: how the network was made.
        reference: what it must compute.
    """

    model: onnx.ModelProto
    cards: Sequence[StyleCard]
    rules: SizeRules
    origin: Mapping[str, object]
    reference: Reference
    rows_per_style: int = 1

    def row_weights(self, index: int) -> list[float]:
        """Return the ``style_weights`` that paint the style ``index`` at its default detail."""
        return row_weights(index, len(self.cards), self.rows_per_style, self.cards[index].detail)


def export_styles(checkpoint: TrainingCheckpoint, cards: Sequence[StyleCard], photo: np.ndarray, path: Path) -> float:
    """Write a trained network as the style file ``path``, whole or not at all, with a card for each of its styles.

    ``photo`` (uint8 [H, W, 3]) is painted for the thumbnails. Returns the largest difference between ONNX Runtime and
    PyTorch at CHECKED_SIZES. Raises StyleError if it exceeds TOLERANCE, as it does for a network that
    diverged in training, if the file cannot be written, or if there is not one card for each style.
    """
    network = checkpoint.network.eval().cpu()
    shape = network.settings
    check_cards(cards, shape.styles)  # before the work
    rules = SizeRules(
        multiple_of=1,
        minimum_size=shape.minimum_size,
        receptive_radius=shape.receptive_radius,
        bytes_per_pixel=shape.bytes_per_pixel,
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
    first_style = row_weights(0, shape.styles, shape.rows_per_style, cards[0].detail)
    model, reference = to_onnx(network, first_style), torch_reference(network, first_style)
    try:
        return write_styles(StyleModel(model, cards, rules, origin, reference, shape.rows_per_style), photo, path)
    except ExportDifferenceError as error:
        rate = checkpoint.settings.learning_rate
        raise StyleError(
            f"{error} The training diverged; repeat it with a --learning-rate below {rate:g} and another output, "
            "because the same output would continue it."
        ) from error


def torch_reference(network: nn.Module, default_weights: Sequence[float] = (1.0,)) -> Reference:
    """Return a PyTorch network as the reference for its export; ``default_weights`` as for ``to_onnx``."""

    def run(**inputs: np.ndarray) -> np.ndarray:
        if len(default_weights) > 1:
            inputs.setdefault("style_weights", np.array([default_weights], np.float32))
        with torch.no_grad():
            output: np.ndarray = network(**{name: torch.from_numpy(value) for name, value in inputs.items()}).numpy()
        return output

    return Reference("PyTorch's", run)


def write_styles(style: StyleModel, photo: np.ndarray, path: Path) -> float:
    """Check a style's graph, add its description and write it to ``path``, whole or not at all.

    ``photo`` (uint8 [H, W, 3]) is painted for the thumbnails. Returns the largest difference from the reference.
    Raises StyleError if it exceeds TOLERANCE or the file cannot be written.
    """
    session = open_quietly(style.model)
    rows = len(style.cards) * style.rows_per_style
    difference = largest_difference(session, style.reference, rows)
    if not difference <= TOLERANCE:
        raise ExportDifferenceError(
            f"The exported network differs from {style.reference.owner} by {difference:.1e} (at most {TOLERANCE:.0e} "
            "is allowed); nothing was written."
        )
    thumbnails = [
        _thumbnail(session, photo, style.rules.multiple_of, chosen(style.row_weights(index)))
        for index in range(len(style.cards))
    ]
    metadata = style_metadata(style.cards, thumbnails, style.rules, style.origin, style.rows_per_style)
    onnx.helper.set_model_props(style.model, metadata)
    onnx.checker.check_model(style.model, full_check=True)
    try:
        with written_whole(path) as partial:
            partial.write_bytes(style.model.SerializeToString())
    except OSError as error:
        raise StyleError(f"{path} cannot be written ({error.strerror}); choose another place.") from error
    return difference


def to_onnx(network: nn.Module, default_weights: Sequence[float] = (1.0,)) -> onnx.ModelProto:
    """Convert a network to a graph: input ``image``, output ``styled``, float32 [1, 3, H, W], H and W dynamic.

    With several rows the graph has a second input, ``style_weights``, float32 [1, rows]. It may be left out; then
    ``default_weights`` take its place. Raises StyleError if this version of PyTorch exports another opset than OPSET.
    """
    dynamic, rows = torch.export.Dim.DYNAMIC, len(default_weights)
    inputs = {"image": torch.rand(1, 3, 64, 96)} | ({"style_weights": torch.eye(1, rows)} if rows > 1 else {})
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own parts
        file = Path(folder) / "style.onnx"
        torch.onnx.export(
            network,
            tuple(inputs.values()),
            file,
            input_names=list(inputs),
            output_names=["styled"],
            opset_version=OPSET,
            dynamic_shapes={name: {2: dynamic, 3: dynamic} if name == "image" else {} for name in inputs},
            external_data=False,
            dynamo=True,
            verbose=False,
        )
        model = onnx.load(file)
    if rows > 1:
        # An initializer with an input's name is that input's default.
        default = np.array([default_weights], np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(default, "style_weights"))
    (opset,) = (entry.version for entry in model.opset_import if entry.domain == "")
    if opset != OPSET:
        raise StyleError(
            f"PyTorch exported opset {opset} instead of {OPSET}; use the PyTorch version that pyproject.toml names."
        )
    return without_traces(model)


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove an exporter's notes from ``model``, in place, and return it.

    PyTorch notes the source line of every node, with paths on this machine: half of a small file.
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


def largest_difference(session: ort.InferenceSession, reference: Reference, rows: int = 1) -> float:
    """Return the largest difference between a style's session and its reference, on the 0..1 range.

    Both paint random pictures of the reference's sizes. With several rows, the first picture is painted without
    ``style_weights``, the others in random mixtures. Raises StyleError if an output has another shape.
    """
    random = np.random.default_rng(0)
    differences = []
    for number, (height, width) in enumerate(reference.sizes):
        inputs = {"image": random.random((1, 3, height, width), np.float32)}
        if number and rows > 1:
            inputs["style_weights"] = random.dirichlet(np.ones(rows))[None].astype(np.float32)
        expected = reference.run(**inputs)
        (styled,) = session.run(["styled"], inputs)
        if styled.shape != expected.shape:
            raise StyleError(
                f"Given {height}x{width}, the exported network returns {styled.shape[2:]}; nothing was written."
            )
        differences.append(np.abs(styled - expected).max())
    return float(np.max(differences))  # unlike Python's max(), it lets no NaN slip through


def chosen(weights: Sequence[float]) -> dict[str, np.ndarray]:
    """Return the graph inputs that choose a mixture of rows; a network with one row has no choice."""
    return {"style_weights": np.array([weights], np.float32)} if len(weights) > 1 else {}


def _thumbnail(
    session: ort.InferenceSession, photo: np.ndarray, multiple_of: int, weights: Mapping[str, np.ndarray]
) -> bytes:
    height, width = (extent // multiple_of * multiple_of for extent in photo.shape[:2])
    image = photo[:height, :width].transpose(2, 0, 1)[None].astype(np.float32) / 255
    (styled,) = session.run(["styled"], {"image": image, **weights})
    picture = Image.fromarray(np.round(styled[0].transpose(1, 2, 0) * 255).astype(np.uint8))
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=85)
    return jpeg.getvalue()
