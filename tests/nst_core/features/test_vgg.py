import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file

from nst_core.base.errors import StyleError
from nst_core.base.objective_settings import GATYS_STYLE_LAYERS
from nst_core.base.training_settings import DistillSettings
from nst_core.distill.student import CONV_LAYERS, new_student
from nst_core.features import catalogue as weights
from nst_core.features.combined import CombinedNetwork
from nst_core.features.layers import CONVOLUTIONS_PER_BLOCK
from nst_core.features.network import CAFFE, CAFFE_MEAN, TORCHVISION_MEAN, TORCHVISION_STD
from nst_core.features.vgg import VGGNetwork, build_slim, build_vgg

PLACES = [layer[4:] for layer in GATYS_STYLE_LAYERS]


def random_vgg(kind: str, deepest: int) -> dict:
    """Random tensors in torchvision's layout, for shapes and names only."""
    generator, state, index, into = torch.Generator().manual_seed(0), {}, 0, 3
    for block, count in enumerate(CONVOLUTIONS_PER_BLOCK[kind][:deepest], 1):
        for _ in range(count):
            out = 64 * 2 ** min(block - 1, 3)
            state[f"features.{index}.weight"] = torch.randn(out, into, 3, 3, generator=generator) * 0.05
            state[f"features.{index}.bias"] = torch.zeros(out)
            into, index = out, index + 2
        index += 1
    return state


@pytest.mark.parametrize(("kind", "count"), [("vgg19", 16), ("vgg16", 13)])
def test_vgg_layers_have_the_shapes_of_the_paper(kind, count):
    network = build_vgg(kind, random_vgg(kind, 5), kind)
    assert len(network.convolutions) == count
    features = network(torch.rand(1, 3, 64, 48), ["relu1_1", "conv3_1", "relu5_1"])
    assert {k: tuple(v.shape) for k, v in features.items()} == {
        "relu1_1": (1, 64, 64, 48),
        "conv3_1": (1, 256, 16, 12),
        "relu5_1": (1, 512, 4, 3),
    }
    assert features["relu1_1"].min() >= 0 > features["conv3_1"].min()


def test_features_and_gradient_match_torchvision():
    torchvision = pytest.importorskip("torchvision")
    model = torchvision.models.vgg16(weights=None).eval().double()
    network = build_vgg("vgg16", model.state_dict(), "vgg16").double()
    image = torch.rand(1, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in (TORCHVISION_MEAN, TORCHVISION_STD))
    expected = model.features[:23]((image - mean) / std)  # up to the ReLU after conv4_3
    features = network(image, ["relu4_3"])["relu4_3"]
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(*(torch.autograd.grad(one.square().sum(), image)[0] for one in (features, expected)))


@pytest.mark.parametrize("heads", [False, True])
def test_conv_and_relu_of_one_place_can_be_requested_together(slim_weights, heads):
    network = weights.load_features(str(slim_weights)) if heads else build_vgg("x", random_vgg("vgg19", 2), "vgg19")
    image = torch.rand(1, 3, 32, 32)
    both = network(image, ["conv2_1", "relu2_1"])
    assert both["conv2_1"].min() < 0
    torch.testing.assert_close(both["relu2_1"], both["conv2_1"].relu())
    for layer in both:
        torch.testing.assert_close(network(image, [layer])[layer], both[layer])


@pytest.mark.parametrize("heads", [False, True])
def test_relu_can_be_replaced_at_requested_layers(slim_weights, heads):
    network = weights.load_features(str(slim_weights)) if heads else build_vgg("x", random_vgg("vgg19", 2), "vgg19")
    picture, seen = torch.rand(1, 3, 32, 32), []

    def halved(layer, before):
        seen.append(layer)
        return before.relu() / 2

    plain = network(picture, ["conv2_1", "relu1_1", "relu2_1"])
    features = network(picture, ["conv2_1", "relu1_1", "relu2_1"], halved)
    assert seen == ["relu1_1", "relu2_1"]
    torch.testing.assert_close(features["relu1_1"], plain["relu1_1"] / 2)
    torch.testing.assert_close(features["relu2_1"], features["conv2_1"].relu() / 2)
    # A network's own ReLU feeds the next layers, a head's does not.
    assert torch.allclose(features["conv2_1"], plain["conv2_1"]) == heads


def test_average_pooling_averages():
    state = random_vgg("vgg19", 2)
    image = torch.rand(1, 3, 16, 16)
    features = {p: build_vgg("x", state, "vgg19", pooling=p)(image, ["conv2_1"])["conv2_1"] for p in ("max", "average")}
    before = build_vgg("x", state, "vgg19")(image, ["relu1_2"])["relu1_2"]
    pooled = torch.nn.functional.avg_pool2d(before, 2)
    expected = torch.nn.functional.conv2d(pooled, state["features.5.weight"], state["features.5.bias"], padding=1)
    torch.testing.assert_close(features["average"], expected)
    assert not torch.allclose(features["max"], expected)


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
@pytest.mark.parametrize("size", [(16, 18), (17, 18), (16, 15), (5, 3)])
def test_gradient_of_first_convolution_matches_pytorch(size, padding_mode):
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(64, 3, 3, 3, generator=generator), torch.randn(64, generator=generator)
    network = VGGNetwork("x", {"conv1_1": (weight, bias)}, CAFFE, padding_mode=padding_mode).double()
    picture = torch.rand(2, 3, *size, dtype=torch.float64, generator=generator, requires_grad=True)
    mode = "constant" if padding_mode == "zeros" else padding_mode
    mean = torch.tensor(CAFFE_MEAN, dtype=torch.float64).view(1, 3, 1, 1)
    padded = torch.nn.functional.pad((255 * picture - mean).flip(1), (1, 1, 1, 1), mode)
    expected = torch.nn.functional.conv2d(padded, weight.double(), bias.double())
    features = network(picture, ["conv1_1"])["conv1_1"]
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(*(torch.autograd.grad(one.pow(3).sum(), picture)[0] for one in (features, expected)))


def test_gradient_in_bfloat16_is_near_float32():
    network = build_vgg("x", random_vgg("vgg19", 1), "vgg19")
    picture = torch.rand(1, 3, 33, 48, generator=torch.Generator().manual_seed(1), requires_grad=True)
    gradients = []
    for low in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            features = network(picture, ["relu1_1"])["relu1_1"]
        gradients.append(torch.autograd.grad(features.float().square().sum(), picture)[0])
    assert features.dtype == torch.bfloat16 and gradients[1].dtype == torch.float32
    assert (gradients[1] - gradients[0]).norm() < 0.02 * gradients[0].norm()


def test_unknown_layer_is_refused_with_a_list_of_valid_ones(slim_weights):
    network = weights.load_features(str(slim_weights))
    with pytest.raises(StyleError, match=r"no layer 'relu4_2'.*relu1_1, relu2_1, relu3_1, relu4_1, relu5_1"):
        network(torch.rand(1, 3, 64, 64), ["relu4_2"])


def test_unknown_pooling_is_refused():
    with pytest.raises(StyleError, match="max, average"):
        build_vgg("x", random_vgg("vgg19", 1), "vgg19", pooling="median")


def test_slim_heads_have_their_own_channels(slim_weights):
    features = weights.load_features(str(slim_weights))(torch.rand(2, 3, 32, 32), GATYS_STYLE_LAYERS)
    assert [tuple(v.shape) for v in features.values()] == [(2, 12, 32 // 2**i, 32 // 2**i) for i in range(5)]


@pytest.mark.parametrize("colours", [3, 1])
def test_slim_network_applies_conv0_of_its_file(slim_weights, colours):
    state = load_file(slim_weights)
    # With one colour it sees only brightness, and no mean of the picture would make its offset.
    mixing, offset = torch.rand(3, colours, 1, 1).expand(3, 3, 1, 1).contiguous(), torch.rand(3)
    image = torch.rand(1, 3, 32, 32)
    features = build_slim("slim", state | {"conv0.weight": mixing, "conv0.bias": offset})(image, ["relu1_1"])["relu1_1"]
    padded = torch.nn.functional.pad(torch.conv2d(image, mixing, offset), (1, 1, 1, 1), mode="reflect")
    own = torch.conv2d(padded, state["conv11.weight"], state["conv11.bias"]).relu()
    expected = torch.conv2d(own, state["conv11_aux.weight"], state["conv11_aux.bias"]).relu()
    torch.testing.assert_close(features, expected)


def test_condensed_heads_keep_inner_products():
    """The condensed features have the inner products of the wide ones, between pixels and between pictures."""
    network = new_student(DistillSettings(channels=(4, 6, 8, 8, 10)), dict.fromkeys(CONV_LAYERS, 40))
    for head in network.heads.values():
        torch.nn.init.normal_(head.bias)
    (condensed, none), pictures = network.condensed(), torch.rand(2, 3, 48, 32)
    assert none == {}
    assert condensed.layers == network.layers == [k + p for p in PLACES for k in ("conv", "relu")]
    assert condensed.bytes_per_pixel(GATYS_STYLE_LAYERS) < 0.5 * network.bytes_per_pixel(GATYS_STYLE_LAYERS)
    for layer in ("conv2_1", "relu2_1", "relu5_1"):
        (one, other), (small, second) = (net(pictures, [layer])[layer].flatten(2) for net in (network, condensed))
        assert (len(one), len(small)) == (40, {"2": 7, "5": 11}[layer[4]])
        for wide, narrow in ((one.T @ other, small.T @ second), ((one - other).norm(), (small - second).norm())):
            torch.testing.assert_close(narrow, wide, rtol=1e-4, atol=1e-4 * wide.abs().max().item())


def test_heads_with_a_relu_are_not_condensed(slim_weights):
    slim = weights.load_features(str(slim_weights))
    true = build_vgg("true", random_vgg("vgg19", 2), "vgg19")
    assert slim.condensed(["relu1_1"]) == (slim, {}) and true.condensed() == (true, {})
    both, none = CombinedNetwork([true, slim]).condensed(["relu1_1", "relu5_1"])
    assert none == {}
    assert both.name == "true+slim" and both.parts == [true, slim] and both.parts[1].exact


def test_slim_features_correlate_with_vgg19(assets, read_photo):
    """Channel by channel on a photo: the slim network's heads were trained to predict VGG-19."""
    folder = assets / "weights"
    photo = read_photo(assets / "photos/eval/tubingen.jpg", 384)
    true = weights.load_features(str(folder / "vgg19_conv1_1-conv3_4_caffe.safetensors"))
    slim = weights.load_features(str(folder / "vgg19_distilled16x_conv5_1.safetensors"))
    for layer, least in (("relu1_1", 0.9), ("relu2_1", 0.75), ("relu3_1", 0.7)):
        a, b = (network(photo, [layer])[layer][0].flatten(1) for network in (true, slim))
        a, b = (v - v.mean(1, keepdim=True) for v in (a, b))
        correlation = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-12)
        assert correlation.median() > least, layer


def test_combined_network_takes_each_layer_from_the_first_that_has_it(slim_weights):
    deep = weights.load_features(str(slim_weights))
    shallow = build_vgg("true", random_vgg("vgg19", 2), "vgg19")
    both = CombinedNetwork([shallow, deep])
    assert both.name == "true+slim"
    image = torch.rand(1, 3, 32, 32)
    features = both(image, GATYS_STYLE_LAYERS)
    for layer, network in zip(GATYS_STYLE_LAYERS, (shallow, shallow, deep, deep, deep), strict=True):
        torch.testing.assert_close(features[layer], network(image, [layer])[layer])
    assert both(image, ["relu3_1"]).keys() == {"relu3_1"}
    assert both.bytes_per_pixel(["relu1_1", "relu5_1"]) > deep.bytes_per_pixel(["relu5_1"])


def test_slim_part_of_a_combined_network_rounds_only_its_gradient(slim_weights):
    shallow = build_vgg("true", random_vgg("vgg19", 2), "vgg19")
    both = CombinedNetwork([shallow, weights.load_features(str(slim_weights))])
    image = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(1), requires_grad=True)
    features, gradients = [], []
    for low in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            features.append(both(image, ["relu1_1", "relu4_1"]))
        (gradient,) = torch.autograd.grad(features[-1]["relu4_1"].square().sum(), image)
        gradients.append(gradient)
    torch.testing.assert_close(features[1]["relu4_1"], features[0]["relu4_1"])
    assert features[1]["relu1_1"].dtype == torch.bfloat16
    difference = (gradients[1] - gradients[0]).norm() / gradients[0].norm()
    assert 1e-4 < difference < 0.03


def test_combined_network_refuses_a_layer_that_none_has(slim_weights):
    both = CombinedNetwork(
        [build_vgg("true", random_vgg("vgg19", 1), "vgg19"), weights.load_features(str(slim_weights))]
    )
    with pytest.raises(StyleError, match=r"no layer 'relu4_2'.*relu1_1, relu1_2, relu2_1, relu3_1, relu4_1, relu5_1"):
        both(torch.rand(1, 3, 32, 32), ["relu4_2"])
    with pytest.raises(StyleError, match="no layer 'relu4_2'"):
        both.bytes_per_pixel(["relu1_1", "relu4_2"])
