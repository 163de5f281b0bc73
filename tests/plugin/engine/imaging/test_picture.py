import numpy as np
import pytest

from nst_core.base.errors import StyleError
from plugin.engine.imaging.picture import Picture, network_input


def test_network_input_hides_transparent_colours(noise):
    visible = noise.copy()
    noise[:, 0, :3] = (1, 0, 1)  # fully transparent
    visible[:, 0, :3] = 0
    assert np.array_equal(network_input(Picture(noise)), network_input(Picture(visible)))


def test_network_input_of_a_transparent_picture_is_finite():
    assert np.isfinite(network_input(Picture(np.zeros((4, 4, 4), np.float32)))).all()


def test_network_input_is_clipped_and_has_no_nan(noise):
    noise[..., 3] = 1
    noise[0, 0, :3] = (np.nan, 7, -3)
    rgb = network_input(Picture(noise))
    assert rgb.min() >= 0 and rgb.max() <= 1 and rgb[0, 0].tolist() == [0, 1, 0]


def test_arrays_of_the_wrong_kind_are_refused():
    with pytest.raises(TypeError):
        Picture(np.zeros((4, 4, 2), np.float32))
    with pytest.raises(TypeError):
        Picture(np.zeros((4, 4, 3), np.float64))
    with pytest.raises(TypeError):
        Picture(np.zeros((4, 4, 4), np.float32), np.zeros((4, 5), np.float32))
    with pytest.raises(StyleError, match="empty"):
        Picture(np.zeros((0, 4, 4), np.float32))
