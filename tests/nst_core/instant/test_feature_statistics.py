import pytest

torch = pytest.importorskip("torch")

from nst_core.instant.feature_statistics import mean_and_covariance, statistics_loss, whitened_and_coloured


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn(2, 6, 6, generator=generator) @ torch.randn(2, 6, 400, generator=generator)
    return (mixed + torch.arange(6.0)[None, :, None]).view(2, 6, 20, 20)


def test_coloured_features_have_the_statistics_of_the_style(features):
    style = features.roll(1, 0)
    result = whitened_and_coloured(features, style)
    for own, wanted in zip(mean_and_covariance(result), mean_and_covariance(style), strict=True):
        torch.testing.assert_close(own, wanted, rtol=1e-3, atol=1e-3)
    assert statistics_loss(result, style) < 1e-6 < 0.1 < statistics_loss(features, style)


def test_features_without_variance_take_the_mean_of_the_style(features):
    flat = torch.full_like(features, 3.0)
    result = whitened_and_coloured(flat, features)
    torch.testing.assert_close(result, features.flatten(2).mean(2)[..., None, None].expand_as(result))


def test_loss_has_a_finite_gradient(features):
    features = features.requires_grad_()
    statistics_loss(features, torch.zeros_like(features)).backward()
    assert features.grad.isfinite().all()
