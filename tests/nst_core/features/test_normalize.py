import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.features import catalogue as weights
from nst_core.features.combined import CombinedNetwork
from nst_core.features.normalize import normalized
from nst_core.features.vgg import VGGNetwork
from nst_core.pictures.photos import Photos


def random_network(pooling: str, padding: str = "zeros") -> VGGNetwork:
    """Random weights of eight channels to conv3_1, with one channel in conv1_2 that never fires."""
    generator, convolutions, into = torch.Generator().manual_seed(5), {}, 3
    for layer in ("conv1_1", "conv1_2", "conv2_1", "conv3_1"):
        convolutions[layer] = (
            torch.randn(8, into, 3, 3, generator=generator) * 0.2,
            torch.randn(8, generator=generator) * 0.1,
        )
        into = 8
    convolutions["conv1_2"][1][3] = -100.0
    return VGGNetwork("random", convolutions, pooling=pooling, padding_mode=padding)


def pictures() -> list:
    """Of three sizes, and one of them a batch."""
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(n, 3, h, w, generator=generator) for n, h, w in ((1, 40, 56), (2, 72, 32), (1, 34, 37))]


def means(network, layer: str) -> torch.Tensor:
    """Over all positions of all pictures."""
    features = [network(picture, [layer])[layer].transpose(0, 1).flatten(1) for picture in pictures()]
    return torch.cat(features, 1).mean(1)


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_active_channels_have_a_mean_of_one(pooling, padding):
    network = random_network(pooling, padding)
    result = normalized(network, pictures())
    assert (result.name, result.pooling, result.layers) == ("random-normalised", pooling, network.layers)
    for layer in ("relu1_1", "relu1_2", "relu2_1", "relu3_1"):
        before, after = means(network, layer), means(result, layer)
        assert before[before > 0].min() < 0.3 and before.max() < 100
        torch.testing.assert_close(after, (before > 0).float(), rtol=1e-4, atol=1e-4)
    assert means(result, "relu1_2")[3] == 0


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_channels_change_by_a_factor_only(pooling, padding):
    """Also on a picture that the means do not come from, and before the ReLU; and the network given is not touched."""
    network = random_network(pooling, padding)
    result = normalized(network, pictures())
    picture = torch.rand(1, 3, 33, 41, generator=torch.Generator().manual_seed(9))
    layers = ["conv1_1", "relu1_2", "conv2_1", "relu3_1"]
    before, after = network(picture, layers), result(picture, layers)
    for layer in layers:
        factor = means(network, layer.replace("conv", "relu")).view(1, -1, 1, 1)
        torch.testing.assert_close(after[layer] * torch.where(factor > 0, factor, 1), before[layer])
    torch.testing.assert_close(network(picture, layers), random_network(pooling, padding)(picture, layers))


def test_scaled_weights_against_float64():
    """Worked out layer by layer: a filter over its own channel's mean, and times those of the channels it takes."""
    network = random_network("max")
    result, before = normalized(network, pictures()), None
    exact = random_network("max").double()
    for layer, convolution in exact.convolutions.items():
        relu = layer.replace("conv", "relu")
        features = [exact(one.double(), [relu])[relu].transpose(0, 1).flatten(1) for one in pictures()]
        mean = torch.cat(features, 1).mean(1)
        mean = torch.where(mean > 0, mean, 1)
        weight = convolution.weight / mean.view(-1, 1, 1, 1)
        weight = weight if before is None else weight * before.view(1, -1, 1, 1)
        torch.testing.assert_close(result.convolutions[layer].weight.double(), weight, rtol=1e-5, atol=1e-8)
        torch.testing.assert_close(
            result.convolutions[layer].bias.double(), convolution.bias / mean, rtol=1e-5, atol=1e-8
        )
        before = mean


def test_only_heads_are_scaled_in_a_network_with_heads(slim_weights):
    network = weights.load_features(str(slim_weights))
    for head in network.heads.values():
        head.bias += 0.05
    result = normalized(network, pictures())
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, result.get_parameter(name)) == (not name.startswith("heads")), name
    for layer in ("relu1_1", "relu3_1", "relu5_1"):
        before = means(network, layer)
        torch.testing.assert_close(means(result, layer), (before > 0).float(), rtol=1e-4, atol=1e-4)


def test_compact_is_scaled_although_it_has_two_heads_a_layer():
    network = weights.load_features("compact")
    result = normalized(network, pictures())
    for layer in ("relu1_1", "relu3_1", "relu5_1"):
        before = means(network, layer)
        after = means(result, layer)
        torch.testing.assert_close(after[before > 1e-3], torch.ones_like(after[before > 1e-3]), rtol=1e-3, atol=1e-3)
    for name in ("conv3_1", "relu3_1"):
        factor = result.heads[name].bias / network.heads[name].bias
        torch.testing.assert_close(factor, result.heads["conv3_1"].bias / network.heads["conv3_1"].bias)


def test_no_pictures_are_refused():
    with pytest.raises(StyleError, match="give at least one"):
        normalized(random_network("max"), [])


def test_each_part_of_a_combined_network_is_scaled(slim_weights):
    both = CombinedNetwork([random_network("max"), weights.load_features(str(slim_weights))])
    result = normalized(both, pictures())
    assert result.name == "random-normalised+slim-normalised"
    for layer in ("relu1_1", "relu5_1"):
        before = means(both, layer)
        torch.testing.assert_close(means(result, layer), (before > 0).float(), rtol=1e-4, atol=1e-4)


def test_load_features_takes_reference_photos_from_a_folder(slim_weights, photos_folder):
    network, plain = (weights.load_features(str(slim_weights), reference_photos=p) for p in (photos_folder, None))
    photos = Photos(photos_folder, 32)
    features = torch.stack(
        [network(photos.whole(i), ["relu1_1"])["relu1_1"].mean((0, 2, 3)) for i in range(len(photos))]
    )
    fires = plain(photos.whole(0), ["relu1_1"])["relu1_1"].mean((0, 2, 3)) > 0
    torch.testing.assert_close(features.mean(0)[fires], torch.ones(int(fires.sum())), rtol=1e-3, atol=1e-3)


def test_damaged_reference_photo_is_skipped_and_named(slim_weights, photos_folder, tmp_path, caplog):
    for path in photos_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[: 3000 if path.name == "05.png" else None])
    network = weights.load_features(str(slim_weights), reference_photos=tmp_path)
    assert network is not None and "05.png" in caplog.text
