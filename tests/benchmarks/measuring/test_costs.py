import numpy as np
import onnx
import pytest

pytest.importorskip("torch")

from benchmarks.measuring.costs import graph_cost
from export.to_onnx import to_onnx
from nst_core.base.training_settings import TransformerSettings
from nst_core.fast.transformer import TransformerNetwork


def test_cost_of_a_transformer_network_matches_hand_calculation():
    network = TransformerNetwork(TransformerSettings(width=4, residual_blocks=1, end_kernel=5)).eval()
    # At 64x96: kernel, channels in and out, output pixels, padded input pixels.
    full, halved, quarter = 64 * 96, 32 * 48, 16 * 24
    convolutions = [
        (5, 3, 4, full, 68 * 100),
        (3, 4, 8, halved, 66 * 98),
        (3, 8, 16, quarter, 34 * 50),
        (3, 16, 16, quarter, 18 * 26),
        (3, 16, 16, quarter, 18 * 26),
        # Four phases each: 8, 4 and 3 channels at twice that resolution.
        (3, 16, 32, quarter, 18 * 26),
        (3, 8, 16, 34 * 50, 36 * 52),
        (3, 16, 12, halved, 34 * 50),
    ]
    cost = graph_cost(to_onnx(network), 64, 96)
    assert cost.flops == sum(2 * k * k * c_in * c_out * pixels for k, c_in, c_out, pixels, _ in convolutions)
    assert cost.values == sum(
        c_in * padded + k * k * c_in * c_out + c_out * pixels for k, c_in, c_out, pixels, padded in convolutions
    )


def test_cost_of_a_transposed_convolution_matches_hand_calculation():
    # 4x4 numbers of each of three channels, each spread over 3x3 of five channels.
    kernel = onnx.numpy_helper.from_array(np.zeros((3, 5, 3, 3), np.float32), "kernel")
    image, styled = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3, None, None])
        for name in ("image", "styled")
    )
    node = onnx.helper.make_node("ConvTranspose", ["image", "kernel"], ["styled"], strides=[2, 2])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [image], [styled], [kernel]))
    cost = graph_cost(model, 4, 4)
    assert cost.flops == 2 * 3 * 5 * 9 * 16
    assert cost.values == 3 * 16 + 3 * 5 * 9 + 5 * 9 * 9
