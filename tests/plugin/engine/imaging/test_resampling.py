"""Planes and pictures at other sizes, compared with Pillow's."""

import numpy as np
import pytest
from PIL import Image

from plugin.engine.imaging.resampling import Kernel, resample_picture, resample_planes

SQUARE_SIDE = 96
SIZES = [((61, 90), (103, 152)), ((61, 90), (35, 53)), ((61, 90), (61, 53)), ((3, 5), (1, 1)), ((1, 1), (4, 7))]


@pytest.mark.parametrize(("before", "after"), SIZES)
@pytest.mark.parametrize(
    ("kernel", "filter"), [(Kernel.REDUCE, Image.Resampling.BILINEAR), (Kernel.CUBIC, Image.Resampling.BICUBIC)]
)
def test_planes_match_pillow(before, after, kernel, filter):
    planes = np.random.default_rng(0).random((3, *before), np.float32)
    expected = [np.asarray(Image.fromarray(plane).resize(after[::-1], filter)) for plane in planes]
    np.testing.assert_allclose(resample_planes(planes, after, kernel), expected, atol=2e-4)


@pytest.mark.parametrize(("before", "after"), [SIZES[0], SIZES[-1]])
def test_linear_matches_reduce_when_enlarging(before, after):
    planes = np.random.default_rng(1).random((2, *before), np.float32)
    linear, reduced = (resample_planes(planes, after, kernel) for kernel in (Kernel.LINEAR, Kernel.REDUCE))
    np.testing.assert_allclose(linear, reduced, atol=2e-4)
    assert linear.min() >= planes.min() and linear.max() <= planes.max()


def test_strided_planes_give_the_same_result():
    picture = np.random.default_rng(2).random((20, 30, 3), np.float32)
    planes = picture.transpose(2, 0, 1)
    out = resample_planes(planes, (10, 15), Kernel.CUBIC)
    np.testing.assert_array_equal(out, resample_planes(np.ascontiguousarray(planes), (10, 15), Kernel.CUBIC))


def test_resampling_to_the_same_size_returns_the_picture():
    picture = np.random.default_rng(0).random((SQUARE_SIDE, SQUARE_SIDE, 3), np.float32)
    assert resample_picture(picture, SQUARE_SIDE, SQUARE_SIDE) is picture


def test_reduced_picture_keeps_its_mean_and_range():
    stripes = np.zeros((SQUARE_SIDE, SQUARE_SIDE, 3), np.float32)
    stripes[:, ::2] = 1
    reduced = resample_picture(stripes, SQUARE_SIDE // 2, SQUARE_SIDE // 2)
    np.testing.assert_allclose(reduced[:, 4:-4], 0.5, atol=0.02)  # taking every other column would give 0 or 1
    edge = np.zeros((SQUARE_SIDE, SQUARE_SIDE, 3), np.float32)
    edge[:, 31:] = 1
    for height, width in ((17, 40), (150, 190)):
        out = resample_picture(edge, height, width)
        assert out.shape == (height, width, 3) and out.dtype == np.float32
        assert out.min() == 0 and out.max() == 1 and out.mean() == pytest.approx(edge.mean(), abs=0.01)
