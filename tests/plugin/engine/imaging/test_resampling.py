"""Planes to other sizes: as Pillow makes them."""

import numpy as np
import pytest
from PIL import Image

from plugin.engine.imaging.resampling import Kernel, resample_planes

SIZES = [((61, 90), (103, 152)), ((61, 90), (35, 53)), ((61, 90), (61, 53)), ((3, 5), (1, 1)), ((1, 1), (4, 7))]


@pytest.mark.parametrize(("before", "after"), SIZES)
@pytest.mark.parametrize(
    ("kernel", "filter"), [(Kernel.REDUCE, Image.Resampling.BILINEAR), (Kernel.CUBIC, Image.Resampling.BICUBIC)]
)
def test_planes_are_resized_as_by_pillow(before, after, kernel, filter):
    planes = np.random.default_rng(0).random((3, *before), np.float32)
    expected = [np.asarray(Image.fromarray(plane).resize(after[::-1], filter)) for plane in planes]
    np.testing.assert_allclose(resample_planes(planes, after, kernel), expected, atol=2e-4)


@pytest.mark.parametrize(("before", "after"), [SIZES[0], SIZES[-1]])
def test_enlarging_linearly_needs_no_wider_kernel(before, after):
    planes = np.random.default_rng(1).random((2, *before), np.float32)
    linear, reduced = (resample_planes(planes, after, kernel) for kernel in (Kernel.LINEAR, Kernel.REDUCE))
    np.testing.assert_allclose(linear, reduced, atol=2e-4)
    assert linear.min() >= planes.min() and linear.max() <= planes.max()


def test_planes_that_lie_apart_in_memory_are_taken_too():
    picture = np.random.default_rng(2).random((20, 30, 3), np.float32)
    planes = picture.transpose(2, 0, 1)
    out = resample_planes(planes, (10, 15), Kernel.CUBIC)
    np.testing.assert_array_equal(out, resample_planes(np.ascontiguousarray(planes), (10, 15), Kernel.CUBIC))
