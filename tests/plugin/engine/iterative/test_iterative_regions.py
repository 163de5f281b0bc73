from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import PLAIN_SETTINGS
from nst_core.base.recipes import Recipe
from plugin.engine.imaging.picture import Picture
from plugin.engine.iterative.iterative_painting import IterativeOptions, paint_iteratively
from plugin.engine.iterative.iterative_regions import PictureStyle, RenderRegion, RenderRegions


@pytest.fixture
def paint(slim_weights):
    """Paints noise with a tiny random feature network, at its own size."""
    recipe = Recipe(replace(PLAIN_SETTINGS, size=64, iterations=4), str(slim_weights))

    def call(photo, regions, **options):
        chosen = IterativeOptions(keep_size=True, regions=regions, **options)
        return paint_iteratively(photo, style().picture, recipe, options=chosen)

    return call


def style(seed=1):
    pixels = np.random.default_rng(seed).random((40, 40, 4), np.float32)
    pixels[..., 3] = 1
    return PictureStyle(Picture(pixels))


@pytest.fixture
def photo(noise):
    return Picture(noise)


def left(photo):
    mask = np.zeros((photo.height, photo.width), np.float32)
    mask[:, : photo.width // 2] = 1
    return mask


def test_region_of_everything_equals_no_region_bit_for_bit(paint, photo):
    own = style()
    whole = RenderRegions(style(2), (RenderRegion(np.ones_like(left(photo)), own),), feather=3)
    assert np.array_equal(paint(photo, whole).pixels, paint(photo, None).pixels)


def test_part_without_a_style_stays_a_photo_beyond_the_feather(paint, photo):
    middle = photo.width // 2
    result = paint(photo, RenderRegions(None, (RenderRegion(left(photo), style()),), feather=4)).pixels
    assert np.array_equal(result[:, middle + 4 :], photo.pixels[:, middle + 4 :])
    assert not np.array_equal(result[:, :middle], photo.pixels[:, :middle])


def test_style_mask_changes_the_painting(paint, photo):
    own = style()
    mask = np.zeros((40, 40), np.float32)
    mask[:20] = 1
    masked = paint(photo, RenderRegions(replace(own, mask=mask)))
    assert not np.array_equal(masked.pixels, paint(photo, RenderRegions(own)).pixels)
    assert masked.finished and masked.metrics == {}


def test_no_style_anywhere_is_refused(paint, photo):
    with pytest.raises(StyleError, match="No part of the photo has a style"):
        paint(photo, RenderRegions(None, (RenderRegion(0 * left(photo), style()),)))
    with pytest.raises(StyleError, match="mask of a style picture is empty"):
        paint(photo, RenderRegions(replace(style(), mask=np.zeros((40, 40), np.float32))))
