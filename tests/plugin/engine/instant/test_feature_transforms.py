import numpy as np
import pytest

from plugin.engine.instant.feature_transforms import MOST_PATCHES, SHRINKAGE, measure_style, swap_patches, transform


@pytest.fixture
def features():
    """Activations with correlated channels, [6, 24, 30]."""
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(6, 6)) @ rng.normal(size=(6, 720))
    return (mixed + np.arange(6)[:, None]).reshape(6, 24, 30).astype(np.float32)


@pytest.fixture
def style():
    rng = np.random.default_rng(1)
    mixed = rng.normal(size=(6, 6)) @ rng.normal(size=(6, 400)) * 3
    return mixed.reshape(6, 20, 20).astype(np.float32)


def statistics(features):
    flat = features.reshape(len(features), -1)
    return flat.mean(1), np.cov(flat, bias=True)


def test_result_has_the_styles_mean_and_covariance(features, style):
    result = transform(features, measure_style(style, swapped=False), shrinkage=0.0)
    for own, wanted in zip(statistics(result), statistics(style), strict=True):
        np.testing.assert_allclose(own, wanted, rtol=1e-3, atol=1e-2)


def test_shrinkage_amplifies_chance_less():
    """A channel that hardly varies is no channel of the photo."""
    features = np.random.default_rng(4).normal(size=(6, 24, 30)).astype(np.float32)
    features[0] *= 1e-2
    white = np.random.default_rng(5).normal(size=(6, 40, 40)).astype(np.float32)
    measured = measure_style(white, swapped=False)
    varied = {value: transform(features, measured, shrinkage=value).std((1, 2)) for value in (0.0, SHRINKAGE)}
    assert varied[0.0][0] > 0.9 and varied[SHRINKAGE][0] < 0.1 and (varied[SHRINKAGE][1:] > 0.8 * varied[0.0][1:]).all()


def test_own_style_changes_nothing(features):
    unchanged = transform(features, measure_style(features, swapped=False), shrinkage=0.0)
    np.testing.assert_allclose(unchanged, features, atol=1e-3)


def test_flat_features_take_the_styles_mean(style):
    flat = np.full((6, 9, 9), 0.7, np.float32)
    result = transform(flat, measure_style(style, swapped=False))
    np.testing.assert_allclose(result, np.broadcast_to(style.mean((1, 2))[:, None, None], result.shape), atol=1e-3)


def test_style_of_one_colour_gives_its_mean_alone(features):
    measured = measure_style(np.full((6, 8, 8), 2.0, np.float32), swapped=True)
    result = transform(features, measured, np.ones(features.shape[1:], np.float32))
    np.testing.assert_allclose(result, 2.0, atol=1e-4)


def test_patches_of_the_picture_itself_give_it_back(style):
    """Each patch finds itself, and so do the overlaps; at the border the middles keep away from the edge."""
    swapped = swap_patches(style, style)
    np.testing.assert_allclose(swapped[:, 2:-2, 2:-2], style[:, 2:-2, 2:-2], atol=1e-5)


def test_swap_finds_a_patch_wherever_it_is(style):
    """A part of the style, however it is scaled, finds its place in the style."""
    part = style[:, 5:13, 4:15]
    np.testing.assert_allclose(swap_patches(part * 7, style)[:, 2:-2, 2:-2], part[:, 2:-2, 2:-2], atol=1e-5)


def test_every_value_of_a_swap_is_an_average_of_the_styles(features, style):
    swapped = swap_patches(features, style)
    assert swapped.shape == features.shape
    assert swapped.max() <= style.max() and swapped.min() >= style.min()


def test_large_style_is_sampled(features):
    large = np.random.default_rng(2).normal(size=(6, 90, 90)).astype(np.float32)
    assert MOST_PATCHES < 90 * 90
    assert np.isfinite(swap_patches(features, large)).all()


def test_tiny_style_is_swapped_too(features):
    tiny = np.random.default_rng(3).normal(size=(6, 1, 2)).astype(np.float32)
    assert np.isfinite(swap_patches(features, tiny)).all()


def test_swap_counts_as_much_as_its_map_says(features, style):
    measured = measure_style(style, swapped=True)
    left = np.zeros(features.shape[1:], np.float32)
    left[:, 20:] = 1
    plain, half, whole = (transform(features, measured, left * share) for share in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(half[:, :, :20], whole[:, :, :20], atol=1e-3)
    np.testing.assert_allclose(half, (transform(features, measured, left * 1e-6) + whole) / 2, atol=1e-3)
    assert np.abs(whole - plain)[:, :, 20:].mean() > 0.1
