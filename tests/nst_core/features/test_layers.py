import pytest

from nst_core.base.errors import StyleError
from nst_core.features.layers import CONVOLUTIONS_PER_BLOCK, Layer, convolutions, torchvision_keys


@pytest.mark.parametrize("name", ["conv1_1", "relu3_1", "relu10_12"])
def test_layer_prints_the_name_it_was_parsed_from(name):
    assert str(Layer.parse(name)) == name


@pytest.mark.parametrize("name", ["", "relu", "relu3", "pool3_1", "relu0_1", "relu3_1 ", "Relu3_1", "relu3_1_1"])
def test_other_names_are_refused(name):
    with pytest.raises(StyleError, match="relu3_1"):
        Layer.parse(name)


def test_layers_sort_as_the_network_computes_them():
    names = ["conv1_1", "relu1_1", "conv1_2", "relu1_2", "conv2_1", "relu9_2", "relu10_1"]
    assert [str(layer) for layer in sorted(map(Layer.parse, reversed(names)))] == names


def test_layers_at_the_same_place():
    layer = Layer.parse("conv4_2")
    assert (str(layer.conv), str(layer.relu), str(layer.first_of_block)) == ("conv4_2", "relu4_2", "conv4_1")
    assert layer.relu.conv == layer


@pytest.mark.parametrize("kind", ["vgg19", "vgg16"])
def test_layer_table_is_torchvisions(kind):
    torchvision = pytest.importorskip("torchvision")
    with pytest.importorskip("torch").device("meta"):  # no numbers, only shapes
        features = getattr(torchvision.models, kind)(weights=None).features
    block, number, keys = 1, 1, {}
    for index, module in enumerate(features):
        if type(module).__name__ == "MaxPool2d":
            block, number = block + 1, 1
        elif type(module).__name__ == "Conv2d":
            keys[Layer(block, number, "conv")] = f"features.{index}"
            number += 1
    counts = CONVOLUTIONS_PER_BLOCK[kind]
    assert torchvision_keys(counts) == keys and list(keys) == convolutions(counts)
