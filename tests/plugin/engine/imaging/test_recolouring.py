"""The colours of the photo under the strokes of the painting."""

import numpy as np
import pytest
from PIL import Image

from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.compositing import composite
from plugin.engine.imaging.picture import Picture
from plugin.engine.imaging.recolouring import LUMA, luminance_difference, recolour
from tests.conftest import SAMPLES

# I and Q of YIQ, the two signals that carry the colour (ITU-R BT.601's primaries, NTSC 1953)
CHROMA = np.array([[0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32).T


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """An opaque photo: float32 [300, 451, 4]."""
    with Image.open(SAMPLES / "chelsea.jpg") as opened:
        return np.array(opened.convert("RGBA")).astype(np.float32) / 255


def test_recolour_takes_luminance_of_painting_and_chroma_of_photo(noise):
    photo, styled = noise[..., :3] * 0.2 + 0.4, noise[::-1, ::-1, :3] * 0.2 + 0.4  # keeps all colours in the gamut
    difference = np.linspace(-0.1, 0.1, photo.shape[1], dtype=np.float32)
    kept = recolour(photo, styled, difference)
    np.testing.assert_allclose(kept @ LUMA, styled @ LUMA + difference, atol=1e-6)
    np.testing.assert_allclose(kept @ CHROMA, photo @ CHROMA, atol=1e-4)


def test_recolour_fades_impossible_colours_and_keeps_their_hue():
    photo = np.array([[[1, 0, 0], [0, 0, 1], [0, 0.5, 0], [0, 0, 0]]], np.float32)
    for grey in (0.0, 0.1, 0.5, 0.95, 1.0):
        kept = recolour(photo, np.full_like(photo, grey), np.zeros((1, 4), np.float32))
        np.testing.assert_allclose(kept @ LUMA, grey, atol=1e-6)
        for got, wanted in zip(kept[0], photo[0], strict=True):
            # The hue is the direction of the colour's distance from grey.
            direction, wanted = got - got @ LUMA, wanted - wanted @ LUMA
            assert direction @ wanted >= np.linalg.norm(direction) * np.linalg.norm(wanted) - 1e-6


def test_recolour_of_a_grey_photo_is_grey_and_finite(noise):
    grey = np.repeat(noise[..., :1], 3, axis=2)
    none = np.zeros(grey.shape[:2], np.float32)
    kept = recolour(grey, noise[..., :3], none)
    np.testing.assert_allclose(kept, np.repeat((noise[..., :3] @ LUMA)[..., None], 3, axis=2), atol=1e-6)
    grey[0, 0] = (np.nan, 9, -3)
    assert np.isfinite(recolour(grey, noise[..., :3], none)).all()


def test_areas_are_as_light_as_in_the_photo_and_strokes_as_in_the_painting(photo):
    """However dark the painting is, a pink area does not turn brown."""
    strokes = 0.1 * np.sin(np.arange(photo.shape[1]) * 0.8)[None, :, None].astype(np.float32)
    painted = np.full(photo.shape, 0.3, np.float32)[..., :3] + strokes
    kept = composite(Picture(photo), painted, BlendSettings(100, keep_colors=True))
    luma, before = kept[..., :3] @ LUMA, photo[..., :3] @ LUMA

    def areas(plane: np.ndarray) -> np.ndarray:
        return plane[:300, :450].reshape(3, 100, 3, 150).mean((1, 3))

    assert np.abs(areas(luma) - areas(before)).max() < 0.03 < np.abs(areas(before) - 0.3).mean()
    # The strokes stay: the finest variation along a row is the painting's, not the photo's.
    along = np.diff(luma, axis=1)[:, 100:300] - np.diff(luma, axis=1)[:, 100:300].mean()
    wanted = np.diff(strokes[..., 0], axis=1)[:, 100:300]
    assert (along * wanted).sum() > 0.95 * np.linalg.norm(along) * np.linalg.norm(np.broadcast_to(wanted, along.shape))
    half = composite(Picture(photo), painted, BlendSettings(50, keep_colors=True))[..., :3]
    np.testing.assert_allclose(half, (kept[..., :3] + photo[..., :3]) / 2, atol=1e-6)


def test_transparent_and_missing_pixels_do_not_change_the_luminance_of_others(noise):
    noise[..., 3] = 1
    painted = np.full_like(noise[..., :3], 0.5)
    noise[:, :25, :3], noise[:, 25:, :3] = 0.7, 0.2
    expected = luminance_difference(noise, painted)
    assert expected[18, 5] == pytest.approx(0.2, abs=0.02) and expected[18, 45] == pytest.approx(-0.3, abs=0.02)
    noise[:, 10:20, :3], noise[:, 10:20, 3] = 1, 0
    noise[:5, 10:20, :3] = np.nan
    difference = luminance_difference(noise, painted)
    assert np.abs(difference - expected)[:, :8].max() < 0.02 and np.isfinite(difference).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (9, 2)])
def test_tiny_pictures_have_a_luminance_difference(shape):
    photo, painted = np.ones((*shape, 4), np.float32), np.full((*shape, 3), 0.25, np.float32)
    np.testing.assert_allclose(luminance_difference(photo, painted), 0.75, atol=1e-5)
