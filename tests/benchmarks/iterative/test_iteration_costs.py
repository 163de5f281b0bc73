from dataclasses import replace

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import save_file

from benchmarks.iterative.iteration_costs import convolution_flops, floors
from benchmarks.iterative.methods import Method, Pictures, RenderJob, random_vgg19
from benchmarks.measuring.machine import MatrixProduct
from benchmarks.measuring.pictures import read_picture_tensor
from nst_core.base.iterative_settings import PLAIN_SETTINGS
from nst_core.base.objective_settings import ObjectiveSettings
from nst_core.pictures.resize import resized_to_long_side

CPU = torch.device("cpu")
OBJECTIVE = ObjectiveSettings(content_layers=("relu1_1",), style_layers=("relu2_1",))


@pytest.fixture(scope="module")
def pictures(samples):
    return Pictures(samples / "coffee.jpg", samples / "chelsea.jpg")


@pytest.fixture(scope="module")
def photo_pixels(pictures):
    """The pixels of the photo at 64 pixels, and at half that resolution."""
    height, width = resized_to_long_side(read_picture_tensor(pictures.photo, CPU), 64).shape[-2:]
    return height * width, (height // 2) * (width // 2)


def test_operations_of_an_iteration_match_hand_calculation(slim_weights, pictures, photo_pixels):
    # conv11 with its head, conv12, and conv21 with its own; 3, 6 and 8 channels.
    full, halved = photo_pixels
    first = 2 * full * (9 * 3 * 6 + 6 * 12)
    forward = first + 2 * (full * 9 * 6 * 6 + halved * (9 * 6 * 6 + 6 * 12))

    def count(**settings):
        method = Method(str(slim_weights), replace(PLAIN_SETTINGS, objective=OBJECTIVE, **settings))
        return convolution_flops(RenderJob(method, pictures, 64, CPU), 3)

    # The backward pass to the picture costs as much as the forward pass.
    assert count(optimizer="lbfgs") == {"fp32": 2 * forward}
    # A moved picture is at least as large as the picture, and the photo's features at relu1_1 are new each time.
    assert count(optimizer="adam")["fp32"] >= 2 * forward + first
    assert count(optimizer="auto") == count(optimizer="adam")  # Adam's steps alone, although L-BFGS comes first


def test_operations_are_counted_by_precision(slim_weights, pictures, photo_pixels, tmp_path):
    """VGG-19's first layer is in bfloat16; a slim network is in float32 forward, and in bfloat16 backward."""
    first = {name: values for name, values in random_vgg19().items() if name.startswith("features.0.")}
    save_file(first, tmp_path / "vgg19.safetensors")
    settings = replace(PLAIN_SETTINGS, objective=OBJECTIVE, optimizer="lbfgs", precision="bfloat16")
    method = Method(f"{tmp_path / 'vgg19.safetensors'}+{slim_weights}", settings)
    full, halved = photo_pixels
    slim = 2 * (full * 9 * 3 * 6 + full * 9 * 6 * 6 + halved * (9 * 6 * 6 + 6 * 12))
    flops = convolution_flops(RenderJob(method, pictures, 64, CPU), 1)
    assert flops["fp32"] == slim
    assert flops["bf16"] >= slim + 2 * 2 * full * 9 * 3 * 64


def test_floor_of_two_precisions_matches_hand_calculation():
    products = {"bf16": MatrixProduct(10, "bf16", CPU), "fp32": MatrixProduct(10, "fp32", CPU)}
    # Twice as much as the one product of 2,000 operations, and half as much as the other.
    seconds = floors({"bf16": 4000, "fp32": 1000}, products, {"bf16": [1.0, 2.0], "fp32": [3.0, 5.0]})
    assert seconds == [2 * 1.0 + 0.5 * 3.0, 2 * 2.0 + 0.5 * 5.0]
