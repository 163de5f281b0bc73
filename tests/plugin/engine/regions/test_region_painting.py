import numpy as np
import pytest
from PIL import Image

from nst_core.base.errors import StyleError
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.picture import Picture
from plugin.engine.instant.instant_painting import paint_instantly
from plugin.engine.instant.instant_settings import InstantSettings
from plugin.engine.progress import StoppedError, Stopper
from plugin.engine.regions import region_painting
from plugin.engine.regions.region_painting import Region, StylePictures, TrainedStyles, paint_regions
from plugin.engine.regions.region_settings import RegionSettings

BLENDS = [BlendSettings(), BlendSettings(60), BlendSettings(100, keep_colors=True)]


def settings(blend=BlendSettings(), feather=0):
    return RegionSettings(feather, InstantSettings(fast=FastSettings(blend=blend)))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr("plugin.engine.instant.style_measurement.STYLE_PIXELS", 160**2)
    monkeypatch.setenv("NEURAL_STYLE_HOME", str(tmp_path / "home"))


@pytest.fixture
def photo(noise):
    """Colours with transparency, and a value that is no number under a transparent pixel."""
    noise[0, 0] = (np.nan, 0, 0, 0)
    return Picture(noise)


@pytest.fixture
def wave():
    return TrainedStyles(find_styles("great-wave"))


@pytest.fixture
def udnie():
    return TrainedStyles(find_styles("udnie"))


@pytest.fixture
def rocket(samples):
    with Image.open(samples / "rocket.jpg") as image:
        image.thumbnail((160, 160))
        pixels = np.ones((image.height, image.width, 4), np.float32)
        pixels[..., :3] = np.asarray(image.convert("RGB"), np.float32) / 255
    return StylePictures({Picture(pixels): 1.0})


def half(photo):
    mask = np.zeros((photo.height, photo.width), np.float32)
    mask[:, : photo.width // 2] = 1
    return mask


def whole(photo):
    return np.ones((photo.height, photo.width), np.float32)


@pytest.mark.parametrize("blend", BLENDS)
def test_region_of_everything_equals_no_region_bit_for_bit(photo, wave, udnie, blend):
    own = settings(blend, feather=5)
    expected = paint_fast(photo, wave.shares, own.instant.fast).pixels
    result = paint_regions(photo, [Region(whole(photo), wave)], udnie, own)
    assert np.array_equal(result.pixels, expected, equal_nan=True)
    assert result.coverage == (1.0, 0.0)


def test_region_of_everything_in_a_pictures_style_equals_no_region(photo, rocket):
    expected = paint_instantly(photo, rocket.shares).pixels
    result = paint_regions(photo, [Region(whole(photo), rocket)])
    assert np.array_equal(result.pixels, expected, equal_nan=True)


@pytest.mark.parametrize("blend", BLENDS)
def test_empty_region_leaves_the_photo(photo, wave, blend):
    result = paint_regions(photo, [Region(0 * whole(photo), wave)], None, settings(blend))
    assert np.array_equal(result.pixels, photo.pixels, equal_nan=True) and result.provider is None


@pytest.mark.parametrize("blend", BLENDS[:2])
def test_outside_the_feather_each_side_has_only_its_own_style(photo, wave, udnie, blend):
    own, middle, feather = settings(blend, 4), photo.width // 2, 4
    result = paint_regions(photo, [Region(half(photo), wave)], udnie, own).pixels
    left, right = (paint_fast(photo, each.shares, own.instant.fast).pixels for each in (wave, udnie))
    assert np.array_equal(result[:, : middle - feather], left[:, : middle - feather], equal_nan=True)
    assert np.array_equal(result[:, middle + feather :], right[:, middle + feather :])


def test_no_photo_shines_through_at_seams(wave, udnie):
    pixels = np.zeros((48, 64, 4), np.float32)
    pixels[..., 1], pixels[..., 3] = 1, 1
    photo = Picture(pixels)
    result = paint_regions(photo, [Region(half(photo), wave)], udnie, settings(feather=8)).pixels
    left, right = (paint_fast(photo, each.shares).pixels for each in (wave, udnie))
    assert (result >= np.minimum(left, right) - 1e-6).all() and (result <= np.maximum(left, right) + 1e-6).all()


@pytest.mark.parametrize("blend", BLENDS)
def test_region_without_a_style_is_the_photo(photo, wave, blend):
    result = paint_regions(photo, [Region(half(photo), None)], wave, settings(blend)).pixels
    middle = photo.width // 2
    assert np.array_equal(result[:, :middle], photo.pixels[:, :middle], equal_nan=True)
    assert not np.array_equal(result[:, middle:], photo.pixels[:, middle:])


def test_each_style_is_painted_once(photo, wave, udnie, monkeypatch):
    painted = []

    def count(picture, styles, *others):
        painted.append(styles)
        return paint_fast(picture, styles, *others)

    monkeypatch.setattr(region_painting, "paint_fast", count)
    quarter = half(photo) / 2
    regions = [Region(quarter, wave), Region(quarter, wave), Region(0 * quarter, udnie)]
    paint_regions(photo, regions, wave, settings())
    assert painted == [wave.shares]


def test_selection_limits_the_regions(photo, wave):
    selected = Picture(photo.pixels, half(photo))
    result = paint_regions(selected, [Region(1 - half(photo), wave)], None, settings())
    assert np.array_equal(result.pixels, photo.pixels, equal_nan=True)


def test_progress_never_falls_and_painting_can_be_stopped(photo, wave, udnie):
    fractions = []
    regions = [Region(half(photo), wave)]
    paint_regions(photo, regions, udnie, settings(), lambda at: fractions.append(at.fraction) or True)
    assert fractions == sorted(fractions) and fractions[-1] == 1
    stopper = Stopper()
    stopper.stop()
    with pytest.raises(StoppedError):
        paint_regions(photo, regions, udnie, settings(), stopper=stopper)


@pytest.mark.parametrize("feather", [-1, 1001])
def test_feather_out_of_range_is_refused(feather):
    with pytest.raises(StyleError, match="from 0 to 1000"):
        RegionSettings(feather)
