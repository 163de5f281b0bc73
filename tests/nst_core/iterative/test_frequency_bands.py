import pytest

torch = pytest.importorskip("torch")

from nst_core.iterative.frequency_bands import frequency_bands, join_bands, split_gradient


@pytest.mark.parametrize("shape", [(37, 50), (64, 33), (12, 15)])
def test_joined_bands_are_the_picture(shape):
    picture = torch.rand(1, 3, *shape, generator=torch.Generator().manual_seed(0))
    bands = frequency_bands(picture, slope=0.0)
    torch.testing.assert_close(join_bands(split_gradient(picture, bands), bands), picture, rtol=1e-4, atol=1e-5)
