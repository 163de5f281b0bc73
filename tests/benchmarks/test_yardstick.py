import math
import time

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from benchmarks import yardstick
from export.to_onnx import to_onnx
from nst_core.base.training_settings import TransformerSettings
from nst_core.fast.transformer import TransformerNetwork

CPU = torch.device("cpu")


def test_the_cost_of_a_network_worked_out_by_hand():
    network = TransformerNetwork(TransformerSettings(width=4, residual_blocks=1, end_kernel=5)).eval()
    # At 64x96: kernel, channels in and out, and the pixels of what comes out.
    full, halved, quarter = 64 * 96, 32 * 48, 16 * 24
    convolutions = [
        (5, 3, 4, full, 68 * 100),
        (3, 4, 8, halved, 66 * 98),
        (3, 8, 16, quarter, 34 * 50),
        (3, 16, 16, quarter, 18 * 26),
        (3, 16, 16, quarter, 18 * 26),
        # In four phases each: 8, 4 and 3 channels at twice that resolution.
        (3, 16, 32, quarter, 18 * 26),
        (3, 8, 16, 34 * 50, 36 * 52),
        (3, 16, 12, halved, 34 * 50),
    ]
    found = yardstick.graph_cost(to_onnx(network), 64, 96)
    assert found.flops == sum(2 * k * k * c_in * c_out * pixels for k, c_in, c_out, pixels, _ in convolutions)
    assert found.values == sum(
        c_in * padded + k * k * c_in * c_out + c_out * pixels for k, c_in, c_out, pixels, padded in convolutions
    )


def test_the_cost_of_a_transposed_convolution():
    # Four times four numbers of each of two channels, each spread over 3x3 of five channels.
    kernel = onnx.numpy_helper.from_array(np.zeros((3, 5, 3, 3), np.float32), "kernel")
    image, styled = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3, None, None])
        for name in ("image", "styled")
    )
    node = onnx.helper.make_node("ConvTranspose", ["image", "kernel"], ["styled"], strides=[2, 2])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [image], [styled], [kernel]))
    found = yardstick.graph_cost(model, 4, 4)
    assert found.flops == 2 * 3 * 5 * 9 * 16
    assert found.values == 3 * 16 + 3 * 5 * 9 + 5 * 9 * 9


def test_turns_go_one_after_the_other_and_the_first_is_not_counted():
    calls = []
    found = yardstick.in_turns({name: lambda name=name: calls.append(name) for name in "ab"}, 3)
    assert calls == list("abababab") and {name: len(times) for name, times in found.items()} == {"a": 3, "b": 3}


def test_the_clocks_count_what_they_say():
    sleeping = {"sleep": lambda: time.sleep(0.05)}
    assert min(yardstick.in_turns(sleeping, 2, "wall")["sleep"]) >= 0.05
    assert max(yardstick.in_turns(sleeping, 2, "processor")["sleep"]) < 0.04


def test_a_ratio_is_that_of_each_turn():
    # A burst of noise over a turn changes neither its ratio nor the median.
    assert yardstick.ratio([1.0, 10.0, 1.2], [4.0, 40.0, 4.0]) == pytest.approx(0.25)
    with pytest.raises(ValueError):
        yardstick.ratio([1.0], [1.0, 2.0])


def test_the_product_of_matrices_is_one():
    product = yardstick.MatrixProduct(48, "fp32", CPU)
    found = product.work()()
    assert found.shape == (48, 48) and product.flops == 2 * 48**3
    # Of standard normal numbers each entry of the product has the variance 48.
    assert found.std().item() == pytest.approx(math.sqrt(48), rel=0.2)


def take(megabytes):
    return lambda: np.ones(megabytes * 2**17)


def too_much():
    raise MemoryError


def test_memory_is_measured_in_a_process_of_its_own():
    little, much = (yardstick.first_call(CPU, "wall", take, megabytes) for megabytes in (1, 200))
    assert 190 < much.mib - little.mib < 210 and much.seconds > 0


def test_out_of_memory_is_an_answer_and_another_error_is_not():
    assert yardstick.first_call(CPU, "wall", too_much) is None
    with pytest.raises(ValueError):
        yardstick.first_call(CPU, "wall", take, -1)
    assert yardstick.out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not yardstick.out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
