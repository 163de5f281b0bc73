import numpy as np

from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.compositing import composite
from plugin.engine.imaging.picture import Picture


def test_strength_mixes_photo_and_painting_linearly(noise):
    noise[..., 3] = 1
    styled = 1 - noise[..., :3]
    assert np.array_equal(composite(Picture(noise), styled, BlendSettings(0)), noise)
    assert np.array_equal(composite(Picture(noise), styled, BlendSettings(100))[..., :3], styled)
    half = composite(Picture(noise), styled, BlendSettings(50))
    np.testing.assert_allclose(half[..., :3], 0.5, atol=1e-6)


def test_composite_keeps_alpha_and_transparent_pixels(noise):
    out = composite(Picture(noise), np.zeros_like(noise[..., :3]), BlendSettings(100))
    assert np.array_equal(out[..., 3], noise[..., 3])
    hidden = noise[..., 3] == 0
    assert hidden.any() and np.array_equal(out[hidden], noise[hidden])
    assert (out[~hidden][:, :3] == 0).all()


def test_mask_weighs_the_painting_and_keeps_unselected_pixels(noise):
    noise[..., 3] = 1
    mask = np.zeros(noise.shape[:2], np.float32)
    mask[10:20, 10:20], mask[20:30, 10:20] = 1, 0.25
    styled = np.zeros_like(noise[..., :3])
    out = composite(Picture(noise, mask), styled, BlendSettings(100))
    assert np.array_equal(out[mask == 0], noise[mask == 0])
    assert (out[mask == 1][:, :3] == 0).all()
    np.testing.assert_allclose(out[mask == 0.25][:, :3], noise[mask == 0.25][:, :3] * 0.75, rtol=1e-6)


def test_nan_pixels_are_painted_over(noise):
    noise[..., 3] = 1
    noise[0, 0, :3] = np.nan
    mask = np.ones(noise.shape[:2], np.float32)
    mask[-1] = 0.5
    painted = np.full((*mask.shape, 3), 0.25, np.float32)
    for chosen in (mask, None):
        assert composite(Picture(noise, chosen), painted, BlendSettings(100))[0, 0].tolist() == [0.25, 0.25, 0.25, 1]


def test_mixture_keeps_highlights_and_paints_over_nan(noise):
    noise[..., 3] = 1
    noise[0, 0, :3], noise[0, 1, :3] = np.nan, (4, 0.5, -0.25)
    painted = np.full_like(noise[..., :3], 0.5)
    half = composite(Picture(noise), painted, BlendSettings(50))
    assert half[0, 0].tolist() == [0.5, 0.5, 0.5, 1] and half[0, 1].tolist() == [2.25, 0.5, 0.125, 1]
    assert composite(Picture(noise), painted, BlendSettings(100))[0, 1].tolist() == [0.5, 0.5, 0.5, 1]
    np.testing.assert_array_equal(composite(Picture(noise), painted, BlendSettings(0)), noise)
