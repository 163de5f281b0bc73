import numpy as np
import pytest

from nst_core.base.errors import StyleError
from plugin.engine.imaging.picture import Picture
from plugin.engine.machine import memory
from plugin.engine.regions.masks import feathered, mask_of, protected


def grey(values, alpha=1.0):
    pixels = np.repeat(np.asarray(values, np.float32)[..., None], 4, axis=2)
    pixels[..., 3] = alpha
    return Picture(pixels)


def step(height=40, width=60, column=30):
    mask = np.zeros((height, width), np.float32)
    mask[:, column:] = 1
    return mask


def test_grey_picture_is_the_mask_exactly():
    values = np.arange(256, dtype=np.float32).reshape(16, 16) / 255
    mask, notes = mask_of(grey(values), 16, 16, "m.png")
    assert np.array_equal(mask, values) and not notes


def test_mask_that_takes_too_much_memory_is_refused(monkeypatch):
    """A small file may hold a picture of hundreds of megapixels, larger than any photo."""
    monkeypatch.setattr(memory, "available_memory", lambda: 2**28 + 39 * 100)
    mask_of(grey(np.ones((9, 10))), 2, 2, "m.png")
    with pytest.raises(StyleError, match=r"m\.png has .* make it smaller"):
        mask_of(grey(np.ones((10, 10))), 2, 2, "m.png")


def test_transparent_pixels_are_outside_the_mask():
    mask, _ = mask_of(grey(np.ones((2, 2)), alpha=0.25), 2, 2, "m.png")
    assert np.array_equal(mask, np.full((2, 2), 0.25, np.float32))


def test_colours_count_by_their_luminance_and_that_is_said():
    picture = grey(np.ones((3, 3)))
    picture.pixels[..., :3] = (1, 0, 0)
    mask, notes = mask_of(picture, 3, 3, "m.png")
    assert np.allclose(mask, 0.299) and notes == ["m.png has colours; its luminance is the mask."]


@pytest.mark.parametrize("size", [(80, 120), (20, 30), (7, 90)])
def test_mask_of_another_size_is_resized_and_that_is_said(size):
    mask, notes = mask_of(grey(step()), *size, "m.png")
    assert mask.shape == size and mask.min() >= 0 and mask.max() <= 1
    assert abs(mask.mean() - 0.5) < 0.02 and "60x40" in notes[0] and "resized" in notes[0]


def test_black_mask_is_reported():
    assert mask_of(grey(np.zeros((2, 2))), 2, 2, "m.png")[1] == ["m.png is all black, so nothing is in it."]


@pytest.mark.parametrize("feather", [1, 2, 3, 7, 20])
def test_feather_reaches_exactly_as_far_as_it_says(feather):
    soft = feathered(step(), feather)
    assert np.array_equal(soft[:, : 30 - feather], np.zeros((40, 30 - feather)))
    assert np.allclose(soft[:, 30 + feather :], 1, rtol=0, atol=1e-6)
    assert 0 < soft[0, 30 - feather] < 0.5 < soft[0, 29 + feather] < 1
    assert (np.diff(soft[0]) > -1e-6).all() and np.allclose(soft[0] + soft[0, ::-1], 1, atol=1e-6)


def test_without_feather_the_mask_stays():
    assert np.array_equal(feathered(step(), 0), step())


def test_protected_part_takes_less_of_the_style():
    picture = Picture(np.ones((40, 60, 4), np.float32), mask=np.full((40, 60), 0.5, np.float32))
    mask = protected(picture, step(), 20).mask
    assert np.allclose(mask[:, :30], 0.5) and np.allclose(mask[:, 30:], 0.1)
    assert np.array_equal(protected(Picture(picture.pixels), step(), 0).mask, 1 - step())
