"""Write the encoders and decoders of instant painting as ONNX files, after checking that they compute the same.

``python -m export.instant_graphs DECODER …`` writes the files in plugin/engine/instant/networks again, from compact and
the decoders that ``neural-style train-decoders`` trained.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from export.measure import open_quietly
from export.to_onnx import OPSET
from nst_core.base.errors import StyleError
from nst_core.base.files import written_whole
from nst_core.features.catalogue import load_features
from nst_core.features.layers import Layer
from nst_core.features.vgg import VGGNetwork
from nst_core.instant.decoder import Decoder, layer_of, read_decoder, trunk_of

OUTPUT_FOLDER = Path(__file__).parent.parent / "plugin" / "engine" / "instant" / "networks"
GRAPH_TEST_SIZES = ((32, 32), (48, 112))  # height, width of pictures; multiples of 16
# Relative to the largest value. The files of weights are in half precision already, so nothing is rounded here.
LARGEST_DIFFERENCE = 1e-4


class _Graph:
    """A graph under construction: a chain of nodes, with weights stored in half precision.

    ONNX Runtime turns the weights into float32 once, when it loads the file.
    """

    def __init__(self, tensor: str) -> None:
        self.tensor = tensor
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> None:
        """Append a node that takes the last result and ``inputs``."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self.tensor, *inputs], [name], **attributes))
        self.tensor = name

    def constant(self, value: np.ndarray) -> str:
        """Return the name of a new constant of this type."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def half(self, value: Tensor) -> str:
        """Return the name of a float32 constant that is stored in half precision."""
        name = self.constant(value.detach().cpu().numpy().astype(np.float16))
        self.nodes.append(helper.make_node("Cast", [name], [f"{name}f"], to=TensorProto.FLOAT))
        return f"{name}f"

    def convolve(self, convolution: nn.Conv2d, border: int) -> None:
        """Append a convolution with ``border`` pixels of zeros around its input."""
        weight, bias = self.half(convolution.weight), self.half(cast(Tensor, convolution.bias))
        size = list(convolution.kernel_size)
        self.add("Conv", weight, bias, kernel_shape=size, pads=[border] * 4)

    def model(self, tensors: dict[str, int], name: str) -> onnx.ModelProto:
        """Return the model. ``tensors`` holds the channels of its input and its output by name."""
        (source, channels_in), (target, channels_out) = tensors.items()
        self.nodes[-1].output[0] = target
        places = [
            helper.make_tensor_value_info(source, TensorProto.FLOAT, [1, channels_in, "height in", "width in"]),
            helper.make_tensor_value_info(target, TensorProto.FLOAT, [1, channels_out, "height out", "width out"]),
        ]
        graph = helper.make_graph(self.nodes, name, places[:1], places[1:], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model


def encoder_graph(trunk: VGGNetwork, level: int) -> onnx.ModelProto:
    """Return the graph from ``image``, [1, 3, H, W] in 0..1, to ``features``, the first ReLU of block ``level``."""
    graph = _Graph("image")
    mean, std = (
        torch.tensor(values).view(1, 3, 1, 1) for values in (trunk.preprocessing.mean, trunk.preprocessing.std)
    )
    graph.add("Sub", graph.constant(mean.numpy()))
    graph.add("Div", graph.constant(std.numpy()))
    last, block = Layer(level, 1, "conv"), 1
    for name, module in trunk.convolutions.items():
        layer, convolution = Layer.parse(name), cast(nn.Conv2d, module)
        if layer.block > block:
            graph.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
            block = layer.block
        graph.convolve(convolution, 1)
        graph.add("Relu")
        if layer == last:
            break
    return graph.model({"image": 3, "features": convolution.out_channels}, f"encoder {level}")


def decoder_graph(decoder: Decoder) -> onnx.ModelProto:
    """Return the graph from ``features`` to ``image``, [1, 3, H, W] in 0..1."""
    graph = _Graph("features")
    modules = decoder.steps
    *_others, last = modules
    border = graph.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    doubled = graph.constant(np.array([1, 1, 2, 2], np.float32))
    for name, convolution in modules.items():
        graph.add("Pad", border, mode="reflect")
        graph.convolve(convolution, 0)
        if name == last:
            break
        graph.add("Relu")
        if Layer.parse(name).number == 1:
            graph.add(
                "Resize", "", doubled, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
            )
    limits = [graph.constant(np.array(value, np.float32)) for value in (0, 1)]
    graph.add("Clip", *limits)
    channels = next(iter(modules.values())).in_channels
    return graph.model({"features": channels, "image": 3}, f"decoder {decoder.level}")


def write_networks(network: VGGNetwork, decoders: Sequence[Decoder], folder: Path) -> float:
    """Write ``encoder-1.onnx``, ``decoder-1.onnx`` and so on for each decoder, each whole or not at all.

    Returns the largest difference from PyTorch, relative to the largest value. Raises StyleError if it exceeds
    LARGEST_DIFFERENCE.
    """
    differences = []
    random = torch.Generator().manual_seed(0)
    for decoder in decoders:
        level = decoder.level
        encoded = _encoder(network, layer_of(level))
        pictures = [torch.rand(1, 3, height, width, generator=random) for height, width in GRAPH_TEST_SIZES]
        for name, model, run, inputs in (
            (f"encoder-{level}", encoder_graph(network, level), encoded, pictures),
            (f"decoder-{level}", decoder_graph(decoder), _limited(decoder), [encoded(p) for p in pictures]),
        ):
            session = open_quietly(model)
            for values in inputs:
                with torch.no_grad():
                    expected = run(values).numpy()
                (computed,) = session.run(None, {session.get_inputs()[0].name: values.detach().numpy()})
                differences.append(float(np.abs(computed - expected).max() / np.abs(expected).max()))
            if not max(differences) <= LARGEST_DIFFERENCE:
                raise StyleError(
                    f"The exported {name} differs from PyTorch's by {differences[-1]:.1e}; nothing was written."
                )
            with written_whole(folder / f"{name}.onnx") as partial:
                partial.write_bytes(model.SerializeToString())
    return max(differences)


def _encoder(network: VGGNetwork, layer: str) -> Callable[[Tensor], Tensor]:
    return lambda picture: network(picture, [layer])[layer]


def _limited(decoder: Decoder) -> Callable[[Tensor], Tensor]:
    return lambda features: decoder(features).clamp(0, 1)


def main(files: Sequence[str]) -> None:
    """Write the networks of the decoders in ``files`` to OUTPUT_FOLDER."""
    trunk = trunk_of(load_features("compact"))
    print(write_networks(trunk, [read_decoder(Path(file)) for file in files], OUTPUT_FOLDER))


if __name__ == "__main__":
    main(sys.argv[1:])
