import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F

from nst_core.base.training_settings import TransformerSettings
from nst_core.fast.transformer import (
    UPSAMPLED_TAPS,
    ConditionalInstanceNorm,
    PhaseConvolution,
    TransformerNetwork,
    phase_taps,
)


@pytest.mark.parametrize("size", [(8, 8), (9, 14), (8, 33), (64, 64), (37, 51)])
@pytest.mark.parametrize("end_kernel", [5, 9])
def test_painting_has_the_size_of_the_photo(size, end_kernel):
    network = TransformerNetwork(TransformerSettings(width=4, residual_blocks=1, end_kernel=end_kernel)).eval()
    with torch.no_grad():
        out = network(torch.rand(1, 3, *size))
    assert out.shape == (1, 3, *size) and out.min() >= 0 and out.max() <= 1


def test_classic_network_has_the_published_number_of_parameters():
    network = TransformerNetwork(TransformerSettings(width=32, residual_blocks=5, end_kernel=9))
    assert sum(p.numel() for p in network.parameters()) == 1_679_235  # Johnson's with instance norm


@pytest.mark.parametrize("end_kernel", [5, 9])
def test_receptive_radius_is_how_far_a_pixel_reaches(end_kernel):
    """The statistics of instance norm are held fixed."""
    settings = TransformerSettings(width=4, residual_blocks=2, end_kernel=end_kernel)
    torch.manual_seed(0)
    network = TransformerNetwork(settings).eval().double()
    for module in network.modules():
        if isinstance(module, ConditionalInstanceNorm):
            module.forward = lambda x, style_weights: x  # type: ignore[method-assign]
    image = torch.rand(1, 3, 160, 160, dtype=torch.double)
    reach = 0
    for middle in range(80, 84):  # the network halves twice, so the place among four pixels matters
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


def test_styles_differ_and_the_first_is_the_default(network):
    image = torch.rand(1, 3, 20, 24)
    with torch.no_grad():
        one, two, three = (network(image, weights) for weights in torch.eye(3).split(1))
        assert torch.equal(network(image), one)
        assert (one - two).abs().max() > 0.01 and (two - three).abs().max() > 0.01
        # Each picture of a batch may have its own.
        torch.testing.assert_close(network(image.repeat(3, 1, 1, 1), torch.eye(3)), torch.cat([one, two, three]))


def test_mixture_lies_between_its_styles(network):
    image = torch.rand(1, 3, 20, 24)
    with torch.no_grad():
        ends = [network(image, torch.eye(3)[i : i + 1]) for i in (0, 1)]
        steps = [network(image, torch.tensor([[1 - t, t, 0.0]])) for t in (0.0, 0.01, 0.99, 1.0)]
    torch.testing.assert_close(steps[0], ends[0])
    torch.testing.assert_close(steps[3], ends[1])
    assert (steps[1] - ends[0]).abs().max() < 0.2 * (ends[1] - ends[0]).abs().max()


def test_start_from_keeps_styles_or_averages_them(network):
    image = torch.rand(1, 3, 20, 24)
    same, one = (TransformerNetwork(TransformerSettings(4, 1, styles=n)).eval() for n in (3, 1))
    same.start_from(network)
    one.start_from(network)
    with torch.no_grad():
        assert torch.equal(same(image, torch.eye(3)[1:2]), network(image, torch.eye(3)[1:2]))
        torch.testing.assert_close(one(image), network(image, torch.full((1, 3), 1 / 3)))


def test_start_from_takes_the_named_styles(network):
    image = torch.rand(1, 3, 20, 24)
    two = TransformerNetwork(TransformerSettings(4, 1, styles=2)).eval()
    two.start_from(network, styles=(2, 0))
    with torch.no_grad():
        for weights, row in zip(torch.eye(2).split(1), (2, 0), strict=True):
            assert torch.equal(two(image, weights), network(image, torch.eye(3)[row : row + 1]))


def test_both_rows_of_a_style_start_from_a_single_one_or_their_own(network):
    image, eye = torch.rand(1, 3, 20, 24), torch.eye(4)
    two = TransformerNetwork(TransformerSettings(4, 1, styles=2, rows_per_style=2)).eval()
    two.start_from(network, styles=(2, 0))
    with torch.no_grad():
        for row, style in enumerate((2, 2, 0, 0)):
            assert torch.equal(two(image, eye[row : row + 1]), network(image, torch.eye(3)[style : style + 1]))
    for name, table in two.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(table, 0.5)
    same, one = (TransformerNetwork(TransformerSettings(4, 1, 5, 1, rows)).eval() for rows in (2, 1))
    same.start_from(two, styles=(1,))
    one.start_from(two, styles=(1,))
    with torch.no_grad():
        faithful, bold = (two(image, eye[row : row + 1]) for row in (2, 3))
        assert torch.equal(same(image, torch.eye(2)[:1]), faithful) and torch.equal(one(image), bold)
        assert not torch.equal(faithful, bold)


@pytest.mark.parametrize("margin", [1, 2, 3])
def test_upsampling_phase_convolution_equals_bilinear_upsampling_and_convolution(margin):
    torch.manual_seed(0)
    convolution = PhaseConvolution(5, 4, UPSAMPLED_TAPS)
    padded = F.pad(torch.rand(2, 5, 9, 12), [margin] * 4, "reflect")
    with torch.no_grad():
        enlarged = F.interpolate(padded, scale_factor=2.0, mode="bilinear")[..., 1:-1, 1:-1]
        expected = F.conv2d(enlarged, convolution.weight, convolution.bias)
        torch.testing.assert_close(F.pixel_shuffle(convolution(padded), 2), expected)


@pytest.mark.parametrize("kernel", [3, 5, 7, 9])
def test_phase_convolution_equals_convolution_at_full_resolution(kernel):
    torch.manual_seed(0)
    convolution = PhaseConvolution(5, 3, phase_taps(kernel))
    x = torch.rand(2, 5, 20, 26)
    with torch.no_grad():
        result = F.pixel_shuffle(convolution(F.pixel_unshuffle(x, 2)), 2)
        expected = F.conv2d(x, convolution.weight, convolution.bias)
    beyond = (expected.shape[-1] - result.shape[-1]) // 2  # half resolution steps by two
    torch.testing.assert_close(
        result, expected[..., beyond : 20 - kernel + 1 - beyond, beyond : 26 - kernel + 1 - beyond]
    )


def test_norm_of_phases_equals_norm_at_full_resolution():
    norm = ConditionalInstanceNorm(3, 2)
    torch.nn.init.normal_(norm.scale)
    x = torch.rand(2, 3, 8, 10)
    for weights in (torch.tensor([[0.3, 0.7]]), torch.eye(2)):
        result = F.pixel_shuffle(norm(F.pixel_unshuffle(x, 2), weights), 2)
        torch.testing.assert_close(result, norm(x, weights))
        torch.testing.assert_close(result, F.instance_norm(x) * (weights @ norm.scale)[..., None, None])
