import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nst_core.pictures.arrays import as_array, as_tensor


def test_picture_goes_to_tensor_and_back(noise):
    tensor = as_tensor(noise[..., :3])  # not contiguous
    assert tensor.shape == (1, 3, 37, 51) and tensor.dtype == torch.float32
    assert tensor[0, 2, 5, 7] == noise[5, 7, 2]
    assert np.array_equal(as_array(tensor), noise[..., :3])
