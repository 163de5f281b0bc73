import numpy as np
import pytest

from plugin.engine.imaging.colour_matching import RIDGE_VARIANCE, ColourStatistics, with_colours_of
from plugin.engine.imaging.picture import Picture


def picture(seed, low=0.3, high=0.7, size=(40, 50)):
    """Noise whose channels depend on each other, in a narrow range, so nothing is clipped."""
    generator = np.random.default_rng(seed)
    mixing = generator.random((3, 3)) / 3
    pixels = np.ones((*size, 4), np.float32)
    pixels[..., :3] = low + (high - low) * (generator.random((*size, 3)) @ mixing)
    return Picture(pixels)


def test_result_has_the_mean_and_the_covariance_of_the_reference():
    reference = ColourStatistics.of(picture(1))
    result = ColourStatistics.of(with_colours_of(picture(2), reference))
    assert np.allclose(result.mean, reference.mean, atol=1e-5)
    # The ridge keeps directions without contrast from being amplified.
    assert np.allclose(result.covariance, reference.covariance, rtol=0.03, atol=5 * RIDGE_VARIANCE)
    assert result.distance(reference) < 0.1 * ColourStatistics.of(picture(2)).distance(reference)


def test_own_colours_change_nothing():
    own = picture(3)
    assert np.allclose(with_colours_of(own, ColourStatistics.of(own)).pixels, own.pixels, atol=1e-5)


def test_alpha_and_mask_stay():
    own = picture(4)
    own.pixels[..., 3] = 0.5
    masked = Picture(own.pixels, np.full((40, 50), 0.25, np.float32))
    result = with_colours_of(masked, ColourStatistics.of(picture(5)))
    assert (result.pixels[..., 3] == 0.5).all() and result.mask is masked.mask


@pytest.mark.parametrize(("one", "other"), [(0, 1), (1, 0)])
def test_picture_of_one_colour_gives_or_takes_its_colour(one, other):
    flat = Picture(np.broadcast_to(np.float32([0.2, 0.5, 0.7, 1]), (40, 50, 4)).copy())
    pictures = [picture(6), flat]
    result = with_colours_of(pictures[one], ColourStatistics.of(pictures[other]))
    assert np.isfinite(result.pixels).all()
    assert np.allclose(ColourStatistics.of(result).mean, ColourStatistics.of(pictures[other]).mean, atol=1e-4)


def test_distance_of_equal_shapes_is_that_of_their_means():
    own = ColourStatistics.of(picture(7))
    moved = ColourStatistics(own.mean + np.array([0.3, 0, 0.4]), own.covariance)
    assert own.distance(moved) == pytest.approx(0.5) and own.distance(own) == pytest.approx(0, abs=1e-6)
