import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nst_core.losses import functional as losses  # noqa: E402


def test_gram_matrix_by_hand():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # two channels, one row of two pixels
    torch.testing.assert_close(losses.gram_matrix(features), torch.tensor([[[2.5, 5.5], [5.5, 12.5]]]))


def test_gram_matrix_does_not_depend_on_the_picture_size():
    features = torch.rand(1, 4, 8, 8)
    torch.testing.assert_close(losses.gram_matrix(features), losses.gram_matrix(features.tile(1, 1, 3, 2)))


@pytest.mark.parametrize(("batch", "part"), [(1, 2**21), (2, 2**21), (2, 200), (2, 1)])
def test_a_centred_gram_matrix_and_its_gradient_are_those_of_the_features_less_the_centre(batch, part, monkeypatch):
    monkeypatch.setattr(losses, "PART", part)
    features, centre = torch.rand(2, 5, 6, 7, requires_grad=True), torch.rand(batch, 5, 1, 1)
    plain = (features - centre).flatten(2)
    expected, found = plain @ plain.transpose(1, 2) / 42, losses.gram_matrix(features, centre)
    torch.testing.assert_close(found, expected)
    weights = torch.rand(2, 5, 5)  # not symmetrical
    gradients = [torch.autograd.grad((g * weights).sum(), features, retain_graph=True)[0] for g in (found, expected)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("part", [2**21, 200])
@pytest.mark.parametrize("centre", [torch.rand(2, 5, 1, 1), None])
def test_a_relu_with_its_gram_matrix_is_both_and_so_is_its_gradient(layout, part, centre, monkeypatch):
    monkeypatch.setattr(losses, "PART", part)
    monkeypatch.setattr(losses, "ROWS", 2)
    start, kernel, head = torch.randn(2, 3, 6, 7, requires_grad=True), torch.randn(5, 3, 1, 1), torch.rand(4, 5)
    weights = torch.rand(2, 4, 4)  # not symmetrical

    def value(make):
        before = torch.conv2d(start, kernel).contiguous(memory_format=layout)
        after, gram = make(before)
        # As in a network, with nothing behind it, and with nothing made of the matrix.
        return [(gram * weights).sum() + after.sin().sum(), (gram * weights).sum(), after.sin().sum()]

    def plainly(before):
        after = torch.relu(before)
        return after, losses.gram_matrix(after, centre, head)

    expected, found = value(plainly), value(lambda before: losses.relu_and_gram_matrix(before, centre, head))
    torch.testing.assert_close(found, expected)
    for values in zip(found, expected, strict=True):
        gradients = [torch.autograd.grad(one, start, retain_graph=True)[0] for one in values]
        torch.testing.assert_close(*gradients)


def test_a_gradient_from_behind_that_is_part_of_a_larger_one_is_left_as_it_is():
    """As of a reflected border, which gives back the middle of its own."""
    start, whole = torch.randn(1, 4, 5, 6, requires_grad=True), torch.rand(1, 4, 7, 8)
    before, incoming = whole.clone(), (whole[:, :, 1:-1, 1:-1], torch.ones(1, 4, 4))
    plain = torch.relu(start)
    expected = torch.autograd.grad((plain, losses.gram_matrix(plain)), start, incoming)
    found = torch.autograd.grad(losses.relu_and_gram_matrix(start.clone()), start, incoming)
    torch.testing.assert_close(found, expected)
    assert torch.equal(whole, before)


@pytest.mark.parametrize("part", [2**21, 3000])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_relu_with_its_gram_matrix_under_autocast(dtype, part, monkeypatch):
    """Features are bfloat16's, or a network's that is exact; then only their gradient is rounded."""
    monkeypatch.setattr(losses, "PART", part)
    start = torch.randn(1, 8, 40, 40, generator=torch.Generator().manual_seed(0))
    start = start.to(dtype).contiguous(memory_format=torch.channels_last).requires_grad_(True)
    centre = torch.relu(start.detach()).mean((2, 3), keepdim=True)
    exact = start.detach().double().requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16):
        after, gram = losses.relu_and_gram_matrix(start * 1.0, centre)
        loss = gram.square().sum() + after.float().square().mean()
    plain = torch.relu(exact)
    pixels = (plain - centre.double()).flatten(2)
    expected = (pixels @ pixels.transpose(1, 2) / 1600).square().sum() + plain.square().mean()
    assert after.dtype == dtype
    assert gram.dtype == torch.float32
    gradients = [torch.autograd.grad(*pair)[0].double() for pair in ((loss, start), (expected, exact))]
    assert (gradients[0] - gradients[1]).norm() < 0.01 * gradients[1].norm()


def test_a_centred_gram_matrix_survives_bfloat16():
    """Features that hardly vary about their mean: most of a plain product would be rounding."""
    features = 1 + 0.1 * torch.rand(1, 8, 20, 20)
    centre = features.mean((2, 3), keepdim=True)
    expected = losses.gram_matrix(features.bfloat16().float(), centre.bfloat16().float())
    found = losses.gram_matrix(features.bfloat16(), centre)
    assert found.dtype == torch.float32
    assert losses.relative_square_error(found, expected) < 1e-4


def test_relative_error_has_no_units():
    target, value = torch.rand(2, 3, 4), torch.rand(2, 3, 4)
    error = losses.relative_square_error(value, target)
    torch.testing.assert_close(losses.relative_square_error(value * 1000, target * 1000), error)
    torch.testing.assert_close(losses.relative_square_error(torch.zeros_like(target), target), torch.tensor(1.0))


def test_relative_error_of_bfloat16_is_told_finely():
    """In bfloat16 the next number is one part in 128 away."""
    value, target = (torch.rand(1, 8, 50, 50, generator=torch.Generator().manual_seed(n)).bfloat16() for n in (1, 2))
    exact = losses.relative_square_error(value.double(), target.double()).item()
    assert losses.relative_square_error(value, target).item() == pytest.approx(exact, rel=3e-4)


def test_one_style_serves_a_batch():
    target, values = torch.rand(1, 3, 3), torch.rand(4, 3, 3)
    each = torch.stack([losses.relative_square_error(v[None], target) for v in values])
    torch.testing.assert_close(losses.relative_square_error(values, target), each.mean())


def test_style_loss_weighs_the_layers():
    grams, targets = (
        {"a": torch.rand(1, 2, 2), "b": torch.rand(1, 2, 2)},
        {"a": torch.rand(1, 2, 2), "b": torch.rand(1, 2, 2)},
    )
    a, b = (losses.style_loss(grams, targets, {k: 1.0}) for k in "ab")
    torch.testing.assert_close(losses.style_loss(grams, targets, {"a": 2.0, "b": 0.5}), 2 * a + 0.5 * b)


def test_total_variation_by_hand():
    image = torch.zeros(1, 3, 2, 2)
    image[..., 0, 0] = 1
    assert losses.total_variation(image).item() == pytest.approx(1.0, abs=0.01)  # half the pairs differ by 1
    assert losses.total_variation(torch.rand(1, 3, 1, 1)).item() == 0
    assert losses.total_variation(torch.full((1, 3, 5, 7), 0.3)).item() == pytest.approx(0, abs=1e-7)


def gaussian(generator, channels, positions):
    """Mean and covariance of made-up features, in float64: [1, C] and [1, C, C]."""
    features = torch.rand(channels, channels, generator=generator, dtype=torch.float64) @ torch.rand(
        channels, positions, generator=generator, dtype=torch.float64
    )
    return features.mean(1)[None], torch.cov(features, correction=0)[None]


def test_wasserstein_of_gaussians_against_the_formula_in_float64():
    """By SciPy's matrix root, which is an algorithm of another kind (Schur, where ours takes eigenvalues)."""
    linalg = pytest.importorskip("scipy.linalg")
    generator = torch.Generator().manual_seed(0)
    (m, s), (n, t) = gaussian(generator, 6, 40), gaussian(generator, 6, 40)
    found = losses.wasserstein_2(m, s, n, t)
    ridge = losses.RIDGE * t[0].trace() / 6 * torch.eye(6, dtype=torch.float64)
    a, b = ((one[0] + ridge).numpy() for one in (s, t))
    root = linalg.sqrtm(b)
    expected = ((m - n) ** 2).sum() + (a + b - 2 * linalg.sqrtm(root @ a @ root).real).trace()
    assert found.item() == pytest.approx((expected / ((n**2).sum() + t[0].trace())).item(), rel=1e-6)
    single = losses.wasserstein_2(*(one.float() for one in (m, s, n, t)))
    assert single.dtype == torch.float32 and single.item() == pytest.approx(found.item(), rel=1e-4)


def test_wasserstein_of_one_channel_by_hand():
    """Between N(1, 4) and N(3, 1): (1 - 3)^2 + (2 - 1)^2, over 3^2 + 1."""
    one = [torch.tensor(value, dtype=torch.float64).view(shape) for value, shape in
           ((1.0, (1, 1)), (4.0, (1, 1, 1)), (3.0, (1, 1)), (1.0, (1, 1, 1)))]  # fmt: skip
    assert losses.wasserstein_2(*one).item() == pytest.approx(0.5, abs=1e-4)
    assert losses.wasserstein_2(*one[2:], *one[2:]).item() == pytest.approx(0, abs=1e-12)
    nothing = torch.zeros_like(one[0]), torch.zeros_like(one[1])
    assert losses.wasserstein_2(*nothing, *one[2:]).item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("positions", [40, 4])
def test_gradients_against_finite_differences(positions):
    """Of every loss, in float64; 4 positions of 6 channels make a singular covariance."""
    generator = torch.Generator().manual_seed(1)
    mean, covariance = gaussian(generator, 6, 40)

    def w2(features):
        flat = features.flatten(2)
        centred = flat - flat.mean(2, keepdim=True)
        return losses.wasserstein_2(flat.mean(2), centred @ centred.transpose(1, 2) / positions, mean, covariance)

    def relative(features):
        return losses.relative_square_error(features, covariance[..., :1, None])

    features = torch.rand(1, 6, 2, positions // 2, generator=generator, dtype=torch.float64, requires_grad=True)
    picture = torch.rand(1, 3, 5, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(w2, features)
    assert torch.autograd.gradcheck(relative, features)
    for exponent in (1.0, 2.0, 2.5):
        assert torch.autograd.gradcheck(lambda x, p=exponent: losses.total_variation(x, p), picture)


def test_the_gradient_of_a_gram_matrix_against_finite_differences():
    """A Gram matrix is of second degree, so that central differences are its derivative whatever their step."""
    generator = torch.Generator().manual_seed(0)
    features, direction = (torch.rand(2, 5, 6, 7, generator=generator) for _ in range(2))
    centre, weights = torch.rand(2, 5, 1, 1, generator=generator), torch.rand(2, 5, 5, generator=generator)

    def value(features):
        return (losses.gram_matrix(features, centre) * weights).sum()

    (gradient,) = torch.autograd.grad(value(features.requires_grad_()), features)
    difference = (value(features + direction) - value(features - direction)) / 2
    assert (gradient * direction).sum().item() == pytest.approx(difference.item(), rel=1e-4)


@pytest.mark.parametrize("exponent", [1.0, 2.0, 2.5])
def test_total_variation_against_float64(exponent):
    image = torch.rand(1, 3, 9, 7)
    pixels = image.double().numpy()
    expected = sum((np.abs(np.diff(pixels, axis=axis)) ** exponent).mean() for axis in (2, 3))
    assert losses.total_variation(image, exponent).item() == pytest.approx(expected, rel=0.02)  # rounded off


def test_gram_matrices_and_relative_errors_against_float64():
    """At the size of a real layer, where float32 adds up 65,536 products."""
    generator = torch.Generator().manual_seed(2)
    features, target = (torch.rand(1, 32, 256, 256, generator=generator) ** power for power in (1, 2))
    flat = [one.double().flatten(2)[0] for one in (features, target)]
    exact = [one @ one.T / one.shape[1] for one in flat]
    grams = [losses.gram_matrix(one) for one in (features, target)]
    torch.testing.assert_close(grams[0][0].double(), exact[0], rtol=1e-5, atol=0)
    error = ((exact[0] - exact[1]) ** 2).sum() / (exact[1] ** 2).sum()
    assert losses.relative_square_error(*grams).item() == pytest.approx(error.item(), rel=1e-5)


def test_content_loss_is_a_weighted_mean():
    features, targets = ({name: torch.rand(1, 2, 3, 3) for name in "ab"} for _ in range(2))
    a, b = (losses.content_loss(features, {name: targets[name]}) for name in "ab")
    torch.testing.assert_close(losses.content_loss(features, targets), (a + b) / 2)
    torch.testing.assert_close(losses.content_loss(features, targets, {"a": 3.0, "b": 1.0}), (3 * a + b) / 4)
