from itertools import pairwise

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")

from plugin.engine.film.steadiness import Steadier, first_remembered
from plugin.engine.imaging.picture import Picture

SIZE = (80, 112)


def opaque(rgb):
    return np.dstack([rgb, np.ones(rgb.shape[:2], np.float32)]).astype(np.float32)


def film(scene, count, step, seed=0):
    """Frames that move over a scene by ``step`` pixels, x and y, with a camera's noise; and a painting of each, whose
    strokes are the scene's with much of their own."""
    random = np.random.default_rng(seed)
    frames = []
    for number in range(count):
        x, y = step[0] * number, step[1] * number
        part = scene[y : y + SIZE[0], x : x + SIZE[1]] / 255
        photo = (part + random.normal(0, 2 / 255, part.shape)).clip(0, 1).astype(np.float32)
        painted = (1 - part + random.normal(0, 0.1, part.shape)).clip(0, 1).astype(np.float32)
        frames.append((Picture(opaque(photo)), opaque(painted)))
    return frames


def steadied(frames, steady=100.0):
    steadier = Steadier(steady)
    return [steadier.steady(number, picture, painted) for number, (picture, painted) in enumerate(frames)]


def flicker(paintings, step):
    """The mean difference of consecutive paintings, after each is moved by the known motion."""
    x, y = step
    pairs = pairwise(paintings)
    return np.mean([np.abs(a[y:, x:] - b[: SIZE[0] - y, : SIZE[1] - x])[8:-8, 8:-8].mean() for a, b in pairs])


def sharpness(paintings):
    grey = [cv2.cvtColor(painting[..., :3], cv2.COLOR_RGB2GRAY) for painting in paintings]
    return np.mean([cv2.Laplacian(picture, cv2.CV_32F)[8:-8, 8:-8].var() for picture in grey])


@pytest.mark.parametrize("step", [(0, 0), (3, 1)])
def test_strokes_stay_on_what_they_are_painted_on_and_stay_sharp(scene, step):
    frames = film(scene, 24, step)
    own, steady = [painted for _photo, painted in frames], steadied(frames)
    assert flicker(steady, step) < 0.35 * flicker(own, step)
    assert sharpness(steady) > 0.6 * sharpness(own)


def test_steadiness_grows_with_the_setting(scene):
    frames = film(scene, 16, (2, 1))
    values = [flicker(steadied(frames, steady), (2, 1)) for steady in (1, 50, 100)]
    assert values[0] > 1.3 * values[1] > 1.6 * values[2]


def test_new_scene_shows_nothing_of_the_one_before(scene):
    before, after = film(scene, 11, (0, 0)), film(255 - scene[::-1], 2, (0, 0), seed=1)
    result = steadied([*before, *after])
    assert np.array_equal(result[11], after[0][1])


def test_what_moves_by_itself_is_not_smeared(scene):
    """A block crosses a still background: where it was, the background's own painting shows at once."""
    frames = []
    for number, (picture, painted) in enumerate(film(scene, 12, (0, 0))):
        for pixels, colour in ((picture.pixels, 1.0), (painted, 0.0)):
            pixels[30:50, 5 * number : 5 * number + 20, :3] = colour
        frames.append((picture, painted))
    result = steadied(frames)
    still = film(scene, 12, (0, 0))
    for number in (4, 10):
        uncovered = result[number][32:48, max(0, 5 * number - 12) : 5 * number - 2, :3]
        own = still[number][1][32:48, max(0, 5 * number - 12) : 5 * number - 2, :3]
        assert np.abs(cv2.blur(uncovered - own, (5, 5))).mean() < 0.08
        assert result[number][32:48, 5 * number + 4 : 5 * number + 16, :3].mean() < 0.08


@pytest.mark.parametrize("kept", [1, 8, 20, 21])
def test_continuing_gives_the_same_frames(scene, kept):
    frames = film(scene, 26, (2, 0))
    whole, steadier, painted = steadied(frames), Steadier(100.0), []
    for number in range(first_remembered(kept), kept):
        steadier.follow(number, frames[number][0], lambda _picture, n=number: painted.append(n) or frames[n][1])
    for number in range(kept, 26):
        assert np.array_equal(steadier.steady(number, *frames[number]), whole[number])
    assert len(painted) <= 3


def test_alpha_stays_and_tiny_pictures_are_painted():
    pixels = np.random.default_rng(0).random((5, 3, 4), np.float32)
    steadier = Steadier(100.0)
    for number in range(3):
        result = steadier.steady(number, Picture(pixels), pixels)
        assert result.shape == pixels.shape and np.array_equal(result[..., 3], pixels[..., 3])
