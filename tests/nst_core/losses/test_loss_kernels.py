import pytest

torch = pytest.importorskip("torch")

from nst_core.losses import functional, loss_kernels


def plain_gram_matrix(features, centre=None, head=None):
    """Compute ``blocked_gram_matrix`` by the plain formulas."""
    gram = functional.gram_matrix(features if centre is None else features - centre)
    return gram if head is None else head @ gram @ head.T


@pytest.mark.parametrize(("batch", "part"), [(1, 2**21), (2, 2**21), (2, 200), (2, 1)])
def test_blocked_gram_matrix_matches_the_formula(batch, part, monkeypatch):
    monkeypatch.setattr(loss_kernels, "PART_BYTES", part)
    features, centre = torch.rand(2, 5, 6, 7, requires_grad=True), torch.rand(batch, 5, 1, 1)
    grams = [
        loss_kernels.blocked_gram_matrix(features, centre),
        functional.centred_gram_matrix(features, centre),
    ]
    torch.testing.assert_close(*grams)
    weights = torch.rand(2, 5, 5)  # not symmetrical
    gradients = [torch.autograd.grad((g * weights).sum(), features, retain_graph=True)[0] for g in grams]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("part", [2**21, 200])
@pytest.mark.parametrize("centre", [torch.rand(2, 5, 1, 1), None])
def test_fused_relu_gram_matches_separate_ops(layout, part, centre, monkeypatch):
    monkeypatch.setattr(loss_kernels, "PART_BYTES", part)
    monkeypatch.setattr(loss_kernels, "BLOCK_ROWS", 2)
    start, kernel, head = torch.randn(2, 3, 6, 7, requires_grad=True), torch.randn(5, 3, 1, 1), torch.rand(4, 5)
    weights = torch.rand(2, 4, 4)  # not symmetrical

    def losses(relu_and_gram):
        before = torch.conv2d(start, kernel).contiguous(memory_format=layout)
        after, gram = relu_and_gram(before)
        # As in a network, without layers after it, and with nothing made of the matrix.
        return [(gram * weights).sum() + after.sin().sum(), (gram * weights).sum(), after.sin().sum()]

    def separately(before):
        after = torch.relu(before)
        return after, plain_gram_matrix(after, centre, head)

    expected = losses(separately)
    fused = losses(lambda before: loss_kernels.fused_relu_and_gram_matrix(before, centre, head))
    torch.testing.assert_close(fused, expected)
    for pair in zip(fused, expected, strict=True):
        torch.testing.assert_close(*(torch.autograd.grad(loss, start, retain_graph=True)[0] for loss in pair))


def test_fused_relu_gram_does_not_overwrite_a_larger_gradient():
    """The gradient of a reflected border is the middle of a larger tensor."""
    start, whole = torch.randn(1, 4, 5, 6, requires_grad=True), torch.rand(1, 4, 7, 8)
    before, incoming = whole.clone(), (whole[:, :, 1:-1, 1:-1], torch.ones(1, 4, 4))
    plain = torch.relu(start)
    expected = torch.autograd.grad((plain, functional.gram_matrix(plain)), start, incoming)
    gradient = torch.autograd.grad(loss_kernels.fused_relu_and_gram_matrix(start.clone()), start, incoming)
    torch.testing.assert_close(gradient, expected)
    assert torch.equal(whole, before)


@pytest.mark.parametrize("part", [2**21, 3000])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_fused_relu_gram_under_autocast(dtype, part, monkeypatch):
    """The features are bfloat16, or float32 in an exact network; then only their gradient is rounded."""
    monkeypatch.setattr(loss_kernels, "PART_BYTES", part)
    start = torch.randn(1, 8, 40, 40, generator=torch.Generator().manual_seed(0))
    start = start.to(dtype).contiguous(memory_format=torch.channels_last).requires_grad_(True)
    centre = torch.relu(start.detach()).mean((2, 3), keepdim=True)
    exact = start.detach().double().requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16):
        after, gram = loss_kernels.fused_relu_and_gram_matrix(start * 1.0, centre)
        loss = gram.square().sum() + after.float().square().mean()
    plain = torch.relu(exact)
    expected = functional.centred_gram_matrix(plain, centre.double()).square().sum() + plain.square().mean()
    assert after.dtype == dtype
    assert gram.dtype == torch.float32
    gradients = [torch.autograd.grad(*pair)[0].double() for pair in ((loss, start), (expected, exact))]
    assert (gradients[0] - gradients[1]).norm() < 0.01 * gradients[1].norm()


def test_blocked_gram_matrix_is_exact_for_nearly_constant_bfloat16_features():
    """Most of a plain product would be rounding."""
    features = 1 + 0.1 * torch.rand(1, 8, 20, 20)
    centre = features.mean((2, 3), keepdim=True)
    expected = functional.centred_gram_matrix(features.bfloat16().float(), centre.bfloat16().float())
    gram = loss_kernels.blocked_gram_matrix(features.bfloat16(), centre)
    assert gram.dtype == torch.float32
    assert functional.relative_square_error(gram, expected) < 1e-4


@pytest.mark.parametrize("batch", [1, 3])
def test_fused_square_error_matches_the_formula(batch):
    value, target = torch.rand(3, 5, 6, requires_grad=True), torch.rand(batch, 5, 6)
    errors = [one(value, target) for one in (loss_kernels.fused_square_error, functional.relative_square_error)]
    assert torch.equal(*errors)
    torch.testing.assert_close(*(torch.autograd.grad(error, value)[0] for error in errors))


def test_fused_square_error_with_weights_matches_the_formula():
    value, target, weights = torch.rand(3, 5, 6, requires_grad=True), torch.rand(1, 5, 6), torch.tensor([0.0, 0.5, 3.0])
    errors = [
        one(value, target, weights) for one in (loss_kernels.fused_square_error, functional.relative_square_error)
    ]
    assert torch.equal(*errors)
    torch.testing.assert_close(*(torch.autograd.grad(error, value)[0] for error in errors))


def test_mean_activation_by_product_matches_the_formula():
    features = torch.rand(2, 5, 6, 7, requires_grad=True)
    means = [one(features) for one in (loss_kernels.mean_activation_by_product, functional.mean_activation)]
    torch.testing.assert_close(*means)
    weights = torch.rand(2, 5)
    gradients = [torch.autograd.grad((mean * weights).sum(), features)[0] for mean in means]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("exponent", [1.0, 2.0, 2.5])
@pytest.mark.parametrize("size", [(9, 7), (1, 7), (9, 1), (1, 1)])
def test_fused_total_variation_matches_the_formula(size, exponent):
    image = torch.rand(2, 3, *size, requires_grad=True)
    totals = [one(image, exponent) for one in (loss_kernels.fused_total_variation, functional.total_variation)]
    torch.testing.assert_close(*totals)
    if totals[1].requires_grad:
        torch.testing.assert_close(*(torch.autograd.grad(total, image)[0] for total in totals))


@pytest.mark.parametrize("centre", [torch.rand(3, 5, 1, 1), None])
def test_recomputed_guided_gram_matrix_matches_the_formula(centre):
    features, weights, head = torch.rand(1, 5, 6, 7, requires_grad=True), torch.rand(3, 6, 7), torch.rand(4, 5)
    grams = [
        loss_kernels.recomputed_guided_gram_matrix(features, weights, centre, head),
        head @ functional.guided_gram_matrix(features, weights, centre) @ head.T,
    ]
    torch.testing.assert_close(*grams)
    factors = torch.rand(3, 4, 4)  # not symmetrical
    torch.testing.assert_close(
        *[torch.autograd.grad((gram * factors).sum(), features, retain_graph=True)[0] for gram in grams]
    )
