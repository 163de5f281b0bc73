import pytest

torch = pytest.importorskip("torch")

from nst_core.features.convolution_kernels import max_pool


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("shape", [(1, 5, 8, 6), (1, 5, 9, 7), (1, 5, 2, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_max_pool_matches_pytorch_with_its_gradient(layout, shape, dtype):
    start = torch.randint(4, shape).to(dtype).contiguous(memory_format=layout).requires_grad_(True)  # with ties
    pooled, expected = max_pool(start), torch.max_pool2d(start, 2)
    weights = torch.rand_like(expected)
    assert torch.equal(pooled, expected)
    assert pooled.is_contiguous(memory_format=torch.channels_last)
    gradients = [torch.autograd.grad(result, start, weights)[0] for result in (pooled, expected)]
    assert torch.equal(*gradients)
