import math

import pytest

pytest.importorskip("torch")

import torch

from benchmarks.measuring.machine import MatrixProduct


def test_matrix_product_multiplies_random_matrices():
    product = MatrixProduct(48, "fp32", torch.device("cpu"))
    result = product.prepare()()
    assert result.shape == (48, 48) and product.flops == 2 * 48**3
    # With standard normal factors, each entry has a variance of 48.
    assert result.std().item() == pytest.approx(math.sqrt(48), rel=0.2)
