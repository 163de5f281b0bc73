"""Style files for tests."""

import base64
import io
import json

import onnx
from onnx import TensorProto, helper
from PIL import Image


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
    helper.set_model_props(model, {f"neural_style.{key}": value for key, value in description.items()})
    return model
