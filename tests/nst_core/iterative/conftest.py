"""A tiny random feature network, a photo and a style picture."""

import pytest


@pytest.fixture
def network(slim_weights):
    from nst_core.features.catalogue import load_features

    return load_features(str(slim_weights))


@pytest.fixture
def pictures():
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    photo = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 8, generator=generator), (48, 64), mode="bilinear")
    return photo, torch.nn.functional.interpolate(torch.rand(1, 3, 12, 12, generator=generator), (40, 40))
