import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from nst_core.base.training_settings import TransformerSettings  # noqa: E402
from nst_core.fast.transformer import (  # noqa: E402
    UPSAMPLED,
    ConditionalInstanceNorm,
    PhaseConvolution,
    TransformerNetwork,
    in_phases,
)


@pytest.mark.parametrize("size", [(8, 8), (9, 14), (8, 33), (64, 64), (37, 51)])
@pytest.mark.parametrize("end_kernel", [5, 9])
def test_any_size_from_the_minimum_up_comes_back_as_it_was(size, end_kernel):
    network = TransformerNetwork(TransformerSettings(width=4, residual_blocks=1, end_kernel=end_kernel)).eval()
    with torch.no_grad():
        out = network(torch.rand(1, 3, *size))
    assert out.shape == (1, 3, *size) and out.min() >= 0 and out.max() <= 1


def test_the_classic_network_has_the_classic_size():
    network = TransformerNetwork(TransformerSettings(width=32, residual_blocks=5, end_kernel=9))
    assert sum(p.numel() for p in network.parameters()) == 1_679_235  # Johnson's with instance norm


@pytest.mark.parametrize("end_kernel", [5, 9])
def test_receptive_radius(end_kernel):
    """A changed pixel reaches just so far, once instance norm's statistics are held fixed."""
    settings = TransformerSettings(width=4, residual_blocks=2, end_kernel=end_kernel)
    torch.manual_seed(0)
    network = TransformerNetwork(settings).eval().double()
    for module in network.modules():
        if isinstance(module, ConditionalInstanceNorm):
            module.forward = lambda x, style_weights: x  # type: ignore[method-assign]
    image = torch.rand(1, 3, 160, 160, dtype=torch.double)
    reach = 0
    for middle in range(80, 84):  # the network halves twice: the place among four pixels matters
        changed = image.clone()
        changed[..., middle, middle] += 0.5
        with torch.no_grad():
            moved = (network(changed) - network(image)).abs().sum((0, 1)).nonzero()
        reach = max(reach, int((moved - middle).abs().max()))
    assert reach == settings.receptive_radius


@pytest.fixture
def network():
    """Three styles with random scales and shifts."""
    torch.manual_seed(0)
    network = TransformerNetwork(TransformerSettings(width=4, residual_blocks=1, styles=3)).eval()
    for name, table in network.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(table, 0.5)
    return network


def test_each_style_paints_in_its_own_way_and_the_first_is_the_default(network):
    image = torch.rand(1, 3, 20, 24)
    with torch.no_grad():
        one, two, three = (network(image, weights) for weights in torch.eye(3).split(1))
        assert torch.equal(network(image), one)
        assert (one - two).abs().max() > 0.01 and (two - three).abs().max() > 0.01
        # Each picture of a batch may have its own.
        torch.testing.assert_close(network(image.repeat(3, 1, 1, 1), torch.eye(3)), torch.cat([one, two, three]))


def test_a_mixture_lies_between_its_styles(network):
    image = torch.rand(1, 3, 20, 24)
    with torch.no_grad():
        ends = [network(image, torch.eye(3)[i : i + 1]) for i in (0, 1)]
        steps = [network(image, torch.tensor([[1 - t, t, 0.0]])) for t in (0.0, 0.01, 0.99, 1.0)]
    torch.testing.assert_close(steps[0], ends[0])
    torch.testing.assert_close(steps[3], ends[1])
    assert (steps[1] - ends[0]).abs().max() < 0.2 * (ends[1] - ends[0]).abs().max()


def test_starting_from_another_network_keeps_what_it_learned(network):
    image = torch.rand(1, 3, 20, 24)
    same, one = (TransformerNetwork(TransformerSettings(4, 1, styles=n)).eval() for n in (3, 1))
    same.start_from(network)
    one.start_from(network)
    with torch.no_grad():
        assert torch.equal(same(image, torch.eye(3)[1:2]), network(image, torch.eye(3)[1:2]))
        torch.testing.assert_close(one(image), network(image, torch.full((1, 3), 1 / 3)))


def test_each_style_may_start_from_any_of_another_network(network):
    image = torch.rand(1, 3, 20, 24)
    two = TransformerNetwork(TransformerSettings(4, 1, styles=2)).eval()
    two.start_from(network, rows=(2, 0))
    with torch.no_grad():
        for weights, row in zip(torch.eye(2).split(1), (2, 0), strict=True):
            assert torch.equal(two(image, weights), network(image, torch.eye(3)[row : row + 1]))


@pytest.mark.parametrize("margin", [1, 2, 3])
def test_upsampling_in_phases_is_bilinear_upsampling_and_a_convolution(margin):
    torch.manual_seed(0)
    convolution = PhaseConvolution(5, 4, UPSAMPLED)
    padded = F.pad(torch.rand(2, 5, 9, 12), [margin] * 4, "reflect")
    with torch.no_grad():
        enlarged = F.interpolate(padded, scale_factor=2.0, mode="bilinear")[..., 1:-1, 1:-1]
        expected = F.conv2d(enlarged, convolution.weight, convolution.bias)
        torch.testing.assert_close(F.pixel_shuffle(convolution(padded), 2), expected)


@pytest.mark.parametrize("kernel", [3, 5, 7, 9])
def test_a_convolution_in_phases_is_that_at_full_resolution(kernel):
    torch.manual_seed(0)
    convolution = PhaseConvolution(5, 3, in_phases(kernel))
    x = torch.rand(2, 5, 20, 26)
    with torch.no_grad():
        found = F.pixel_shuffle(convolution(F.pixel_unshuffle(x, 2)), 2)
        expected = F.conv2d(x, convolution.weight, convolution.bias)
    beyond = (expected.shape[-1] - found.shape[-1]) // 2  # half resolution steps by two
    torch.testing.assert_close(
        found, expected[..., beyond : 20 - kernel + 1 - beyond, beyond : 26 - kernel + 1 - beyond]
    )


def test_a_norm_takes_phases_for_one_channel():
    norm = ConditionalInstanceNorm(3, 2)
    torch.nn.init.normal_(norm.scale)
    x = torch.rand(2, 3, 8, 10)
    for weights in (torch.tensor([[0.3, 0.7]]), torch.eye(2)):
        found = F.pixel_shuffle(norm(F.pixel_unshuffle(x, 2), weights), 2)
        torch.testing.assert_close(found, norm(x, weights))
        torch.testing.assert_close(found, F.instance_norm(x) * (weights @ norm.scale)[..., None, None])
