import pytest

torch = pytest.importorskip("torch")

from nst_core.settings import TransformerSettings  # noqa: E402
from nst_core.transformer import TransformerNetwork  # noqa: E402


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
    network = TransformerNetwork(settings).train().double()
    for module in network.modules():
        if isinstance(module, torch.nn.InstanceNorm2d):
            module.forward = lambda x: x  # type: ignore[method-assign]
    image = torch.rand(1, 3, 160, 160, dtype=torch.double)
    reach = 0
    for middle in range(80, 84):  # the network halves twice: the place among four pixels matters
        changed = image.clone()
        changed[..., middle, middle] += 0.5
        with torch.no_grad():
            moved = (network(changed) - network(image)).abs().sum((0, 1)).nonzero()
        reach = max(reach, int((moved - middle).abs().max()))
    assert reach == settings.receptive_radius
