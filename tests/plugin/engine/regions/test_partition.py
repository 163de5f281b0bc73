import numpy as np
import pytest

from nst_core.base.errors import StyleError
from plugin.engine.regions.partition import UNITS, as_weights, partition


def masks(count, size=(30, 50), seed=0):
    generator = np.random.default_rng(seed)
    return [np.round(generator.random(size) * 255).astype(np.float32) / 255 for _ in range(count)]


def divided(each, feather):
    return partition(each, each[0].shape, feather)


def test_without_masks_everything_is_left():
    shares, notes = partition([], (4, 6))
    assert shares.shape == (1, 4, 6) and (shares == UNITS).all() and not notes


@pytest.mark.parametrize("feather", [0, 1, 5, 40])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_shares_sum_to_one_to_the_bit(count, feather):
    shares, _ = divided(masks(count), feather)
    assert shares.shape == (count + 1, 30, 50) and shares.dtype == np.uint16
    assert (shares.sum(0, dtype=np.int64) == UNITS).all()
    weights = np.stack([as_weights(share) for share in shares])
    for order in (weights, weights[::-1]):  # in float32, whatever the order
        total = np.zeros((30, 50), np.float32)
        for weight in order:
            total += weight
        assert (total == 1).all()


def test_mask_and_its_opposite_leave_no_rest():
    (mask,) = masks(1)
    for feather in (0, 9):
        shares, notes = divided([mask, 1 - mask], feather)
        assert not shares[-1].any() and not notes


def test_whole_mask_has_everything_and_empty_one_nothing():
    shares, _ = divided([np.zeros((20, 20), np.float32), np.ones((20, 20), np.float32)], 7)
    assert not shares[0].any() and (shares[1] == UNITS).all() and not shares[2].any()


def test_overlapping_masks_share_and_that_is_said():
    whole = np.ones((4, 4), np.float32)
    shares, notes = divided([whole, whole], 0)
    assert (shares[:2] == UNITS // 2).all() and not shares[2].any()
    assert notes == ["Some masks overlap; where they do, their styles are blended."]


def test_beyond_the_feather_no_share_changes():
    left = np.zeros((30, 60), np.float32)
    left[:, :30] = 1
    shares, _ = divided([left, 1 - left], 10)
    assert (shares[0, :, :20] == UNITS).all() and not shares[0, :, 40:].any()
    assert (shares[1, :, 40:] == UNITS).all() and not shares[1, :, :20].any()


def test_nine_masks_are_refused():
    with pytest.raises(StyleError, match=r"9 regions are too many; give at most 8\."):
        divided(masks(9), 0)
