import numpy as np
import pytest

from plugin.engine.imaging.picture import Picture
from plugin.engine.instant import style_measurement
from plugin.engine.instant.instant_networks import PAINTED_LEVELS
from plugin.engine.instant.style_measurement import measured, style_image
from plugin.engine.machine.provider import CPU, Provider
from plugin.engine.progress import Stopper

PROVIDER = Provider(CPU, "")


def measure(picture):
    return measured(picture, PROVIDER, Stopper())


def same(one, other):
    return all(
        np.array_equal(getattr(one.levels[level], part), getattr(other.levels[level], part))
        for level in PAINTED_LEVELS
        for part in ("mean", "root")
    ) and all(np.array_equal(one.levels[level].whitened, other.levels[level].whitened) for level in (5, 4))


@pytest.fixture
def encodings(monkeypatch):
    """The levels that were encoded."""
    levels, encode = [], style_measurement.encode

    def noted(image, level, *others):
        levels.append(level)
        return encode(image, level, *others)

    monkeypatch.setattr(style_measurement, "encode", noted)
    return levels


def test_second_measurement_comes_from_the_cache(style, encodings):
    first = measure(style)
    assert encodings == list(PAINTED_LEVELS)
    assert same(first, measure(style)) and encodings == list(PAINTED_LEVELS)


def test_cache_knows_a_picture_by_its_content(style, encodings):
    measure(style)
    measure(Picture(style.pixels.copy()))
    assert len(encodings) == 5
    other = style.pixels.copy()
    other[..., :3] = 1 - other[..., :3]
    measure(Picture(other))
    assert len(encodings) == 10


def test_damaged_cache_is_measured_again(style, home, encodings):
    first = measure(style)
    (file,) = (home / "cache" / "styles").glob("*.npz")
    for damage in (b"", b"nonsense", file.read_bytes()[:1000]):
        file.write_bytes(damage)
        assert same(first, measure(style))
    assert len(encodings) == 20
    assert same(first, measure(style)) and len(encodings) == 20


def test_cache_that_cannot_be_written_is_not_used(style, home):
    home.write_bytes(b"a file where the folder should be")
    assert measure(style).levels


def test_full_disk_leaves_no_part_of_a_cache(style, home, full_disk):
    with full_disk():
        measure(style)
    assert not list((home / "cache" / "styles").iterdir())


def test_oldest_styles_leave_the_cache(style, home, monkeypatch):
    monkeypatch.setattr(style_measurement, "MOST_CACHED", 2)
    for brightness in (0.5, 0.6, 0.7):
        measure(Picture(style.pixels * np.float32(brightness)))
    assert len(list((home / "cache" / "styles").glob("*.npz"))) == 2


def test_one_colour_is_noticed(style):
    grey = np.full((40, 60, 4), 1.0, np.float32)
    grey[..., :3] = 0.5
    assert measure(Picture(grey)).one_colour and not measure(style).one_colour


def test_style_pictures_have_one_size_and_sides_that_the_networks_take(monkeypatch):
    monkeypatch.setattr(style_measurement, "STYLE_PIXELS", 512**2)
    for height, width in ((1, 1), (40, 60), (800, 600), (8, 3000)):
        image = style_image(Picture(np.random.default_rng(0).random((height, width, 4), np.float32)))
        assert image.dtype == np.float32 and not any(extent % 16 for extent in image.shape[1:])
        assert min(image.shape[1:]) >= 48 and max(image.shape[1:]) <= 1552
    assert abs(np.prod(style_image(Picture(np.ones((800, 600, 4), np.float32))).shape[1:]) / 512**2 - 1) < 0.06
