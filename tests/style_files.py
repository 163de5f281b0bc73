"""Style files for tests."""

import base64
import io
import json
from pathlib import Path

import onnx
from onnx import TensorProto, helper
from PIL import Image

from nst_core.style_file import PREFIX


def negative_style() -> onnx.ModelProto:
    """A style file for the negative, which wants sizes that are multiples of four and at least eight."""
    size = [1, 3, "height", "width"]
    graph = helper.make_graph(
        [helper.make_node("Sub", ["one", "image"], ["styled"])],
        "negative",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, size)],
        [helper.make_tensor_value_info("styled", TensorProto.FLOAT, size)],
        [helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    thumbnail = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(thumbnail, "JPEG")
    card = {
        "name": "negative",
        "title": "Negative",
        "artist": "Nobody & Co.",
        "year": "2025",
        "licence": "CC0-1.0",
        "thumbnail": base64.b64encode(thumbnail.getvalue()).decode(),
    }
    description = {
        "format": "2",
        "styles": json.dumps([card]),
        "multiple_of": "4",
        "minimum_size": "8",
        "bytes_per_pixel": "100",
    }
    helper.set_model_props(model, {PREFIX + key: value for key, value in description.items()})
    return model


def style_with_metadata(path: Path, card: dict[str, str | None] | None = None, **entries: str | None) -> None:
    """Write ``negative_style`` with other metadata of the style (``card``) or the file; None removes an entry."""
    model = negative_style()
    metadata: dict[str, str | None] = {entry.key: entry.value for entry in model.metadata_props}
    (original,) = json.loads(metadata[PREFIX + "styles"] or "")
    changed = {key: value for key, value in (original | (card or {})).items() if value is not None}
    metadata[PREFIX + "styles"] = json.dumps([changed])
    metadata |= {PREFIX + key: value for key, value in entries.items()}
    helper.set_model_props(model, {key: value for key, value in metadata.items() if value is not None})
    onnx.save(model, path)


def dimming_style(faithful: float, bold: float, detail: float) -> onnx.ModelProto:
    """A style file with two rows, which multiply the picture by ``faithful`` and ``bold``, and a default detail."""
    model = negative_style()
    graph = model.graph
    del graph.node[:], graph.initializer[:]
    graph.node.append(helper.make_node("MatMul", ["style_weights", "factors"], ["factor"]))
    graph.node.append(helper.make_node("Mul", ["image", "factor"], ["styled"]))
    graph.input.append(helper.make_tensor_value_info("style_weights", TensorProto.FLOAT, [1, 2]))
    graph.initializer.append(helper.make_tensor("factors", TensorProto.FLOAT, [2, 1], [faithful, bold]))
    graph.initializer.append(
        helper.make_tensor("style_weights", TensorProto.FLOAT, [1, 2], [detail / 100, 1 - detail / 100])
    )
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    (card,) = json.loads(metadata[PREFIX + "styles"])
    card |= {"name": "dimmer", "title": "Dimmer", "detail": detail}
    metadata |= {PREFIX + "styles": json.dumps([card]), PREFIX + "rows_per_style": "2"}
    helper.set_model_props(model, metadata)
    return model
