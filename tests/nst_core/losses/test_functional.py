import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nst_core.losses import functional, loss_kernels

# Every check of a formula that has a kernel holds for both.
gram_matrices = pytest.mark.parametrize("gram_matrix", [functional.gram_matrix, loss_kernels.blocked_gram_matrix])
square_errors = pytest.mark.parametrize(
    "square_error", [functional.relative_square_error, loss_kernels.fused_square_error]
)
total_variations = pytest.mark.parametrize(
    "total_variation", [functional.total_variation, loss_kernels.fused_total_variation]
)


@gram_matrices
def test_gram_matrix_by_hand(gram_matrix):
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # two channels, one row of two pixels
    torch.testing.assert_close(gram_matrix(features), torch.tensor([[[2.5, 5.5], [5.5, 12.5]]]))


@gram_matrices
def test_gram_matrix_does_not_depend_on_the_picture_size(gram_matrix):
    features = torch.rand(1, 4, 8, 8)
    torch.testing.assert_close(gram_matrix(features), gram_matrix(features.tile(1, 1, 3, 2)))


def test_gram_matrix_centred_at_the_mean_is_the_covariance():
    features = torch.rand(1, 4, 5, 6)
    gram = functional.centred_gram_matrix(features, features.mean((2, 3), keepdim=True))
    torch.testing.assert_close(gram[0], features[0].flatten(1).cov(correction=0))


@square_errors
def test_relative_error_has_no_units(square_error):
    target, value = torch.rand(2, 3, 4), torch.rand(2, 3, 4)
    torch.testing.assert_close(square_error(value * 1000, target * 1000), square_error(value, target))
    torch.testing.assert_close(square_error(torch.zeros_like(target), target), torch.tensor(1.0))


@square_errors
def test_relative_error_of_bfloat16_is_finer_than_bfloat16(square_error):
    """In bfloat16 the next number is one part in 128 away."""
    value, target = (torch.rand(1, 8, 50, 50, generator=torch.Generator().manual_seed(n)).bfloat16() for n in (1, 2))
    exact = square_error(value.double(), target.double()).item()
    assert square_error(value, target).item() == pytest.approx(exact, rel=3e-4)


@square_errors
def test_one_target_serves_a_batch(square_error):
    target, values = torch.rand(1, 3, 3), torch.rand(4, 3, 3)
    each = torch.stack([square_error(v[None], target) for v in values])
    torch.testing.assert_close(square_error(values, target), each.mean())


def test_style_loss_weighs_the_layers():
    grams, targets = ({name: torch.rand(1, 2, 2) for name in "ab"} for _ in range(2))
    a, b = (functional.style_loss(grams, targets, {name: 1.0}) for name in "ab")
    torch.testing.assert_close(functional.style_loss(grams, targets, {"a": 2.0, "b": 0.5}), 2 * a + 0.5 * b)


def test_content_loss_is_a_weighted_mean():
    features, targets = ({name: torch.rand(1, 2, 3, 3) for name in "ab"} for _ in range(2))
    a, b = (functional.content_loss(features, {name: targets[name]}) for name in "ab")
    torch.testing.assert_close(functional.content_loss(features, targets), (a + b) / 2)
    torch.testing.assert_close(functional.content_loss(features, targets, {"a": 3.0, "b": 1.0}), (3 * a + b) / 4)


@total_variations
def test_total_variation_by_hand(total_variation):
    image = torch.zeros(1, 3, 2, 2)
    image[..., 0, 0] = 1
    assert total_variation(image).item() == pytest.approx(1.0, abs=0.01)  # half the pairs differ by 1
    assert total_variation(torch.rand(1, 3, 1, 1)).item() == 0
    assert total_variation(torch.full((1, 3, 5, 7), 0.3)).item() == pytest.approx(0, abs=1e-7)


@total_variations
@pytest.mark.parametrize("exponent", [1.0, 2.0, 2.5])
def test_total_variation_against_numpy_in_float64(total_variation, exponent):
    image = torch.rand(1, 3, 9, 7)
    pixels = image.double().numpy()
    expected = sum((np.abs(np.diff(pixels, axis=axis)) ** exponent).mean() for axis in (2, 3))
    assert total_variation(image, exponent).item() == pytest.approx(expected, rel=0.02)  # rounded off below a level


def gaussian(generator, channels, positions):
    """Make the mean and covariance of made-up features, in float64: [1, C] and [1, C, C]."""
    features = torch.rand(channels, channels, generator=generator, dtype=torch.float64) @ torch.rand(
        channels, positions, generator=generator, dtype=torch.float64
    )
    return features.mean(1)[None], torch.cov(features, correction=0)[None]


def test_wasserstein_of_gaussians_against_scipy_in_float64():
    """SciPy's matrix root is an algorithm of another kind (Schur, where ours takes eigenvalues)."""
    linalg = pytest.importorskip("scipy.linalg")
    generator = torch.Generator().manual_seed(0)
    (m, s), (n, t) = gaussian(generator, 6, 40), gaussian(generator, 6, 40)
    distance = functional.wasserstein_2(m, s, n, t)
    ridge = functional.RIDGE * t[0].trace() / 6 * torch.eye(6, dtype=torch.float64)
    a, b = ((one[0] + ridge).numpy() for one in (s, t))
    root = linalg.sqrtm(b)
    expected = ((m - n) ** 2).sum() + (a + b - 2 * linalg.sqrtm(root @ a @ root).real).trace()
    assert distance.item() == pytest.approx((expected / ((n**2).sum() + t[0].trace())).item(), rel=1e-6)
    single = functional.wasserstein_2(*(one.float() for one in (m, s, n, t)))
    assert single.dtype == torch.float32 and single.item() == pytest.approx(distance.item(), rel=1e-4)


def test_wasserstein_of_one_channel_by_hand():
    """Between N(1, 4) and N(3, 1): (1 - 3)^2 + (2 - 1)^2, over 3^2 + 1."""
    one = [torch.tensor(value, dtype=torch.float64).view(shape) for value, shape in
           ((1.0, (1, 1)), (4.0, (1, 1, 1)), (3.0, (1, 1)), (1.0, (1, 1, 1)))]  # fmt: skip
    assert functional.wasserstein_2(*one).item() == pytest.approx(0.5, abs=1e-4)
    assert functional.wasserstein_2(*one[2:], *one[2:]).item() == pytest.approx(0, abs=1e-12)
    nothing = torch.zeros_like(one[0]), torch.zeros_like(one[1])
    assert functional.wasserstein_2(*nothing, *one[2:]).item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("positions", [40, 4])
def test_gradient_of_wasserstein_against_finite_differences(positions):
    """In float64; 4 positions of 6 channels make a singular covariance."""
    generator = torch.Generator().manual_seed(1)
    mean, covariance = gaussian(generator, 6, 40)

    def distance(features):
        flat = features.flatten(2)
        centred = flat - flat.mean(2, keepdim=True)
        return functional.wasserstein_2(flat.mean(2), centred @ centred.transpose(1, 2) / positions, mean, covariance)

    features = torch.rand(1, 6, 2, positions // 2, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(distance, features)


@square_errors
def test_gradient_of_relative_error_against_finite_differences(square_error):
    generator = torch.Generator().manual_seed(1)
    target = torch.rand(1, 6, 6, 1, generator=generator, dtype=torch.float64)
    for positions in (40, 4):
        shape = (1, 6, 2, positions // 2)
        features = torch.rand(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda x: square_error(x, target[:, :, :1]), features)


@total_variations
@pytest.mark.parametrize("exponent", [1.0, 2.0, 2.5])
def test_gradient_of_total_variation_against_finite_differences(total_variation, exponent):
    generator = torch.Generator().manual_seed(1)
    picture = torch.rand(1, 3, 5, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: total_variation(x, exponent), picture)


@pytest.mark.parametrize(
    "gram_matrix", [functional.centred_gram_matrix, loss_kernels.blocked_gram_matrix], ids=["functional", "kernel"]
)
def test_gradient_of_a_gram_matrix_against_finite_differences(gram_matrix):
    """A Gram matrix is of second degree, so central differences of any step equal its derivative."""
    generator = torch.Generator().manual_seed(0)
    features, direction = (torch.rand(2, 5, 6, 7, generator=generator) for _ in range(2))
    centre, weights = torch.rand(2, 5, 1, 1, generator=generator), torch.rand(2, 5, 5, generator=generator)

    def value(features):
        return (gram_matrix(features, centre) * weights).sum()

    (gradient,) = torch.autograd.grad(value(features.requires_grad_()), features)
    difference = (value(features + direction) - value(features - direction)) / 2
    assert (gradient * direction).sum().item() == pytest.approx(difference.item(), rel=1e-4)


@gram_matrices
@square_errors
def test_gram_matrices_and_relative_errors_against_float64(gram_matrix, square_error):
    """At the size of a real layer, where float32 adds up 65,536 products."""
    generator = torch.Generator().manual_seed(2)
    features, target = (torch.rand(1, 32, 256, 256, generator=generator) ** power for power in (1, 2))
    flat = [one.double().flatten(2)[0] for one in (features, target)]
    exact = [one @ one.T / one.shape[1] for one in flat]
    grams = [gram_matrix(one) for one in (features, target)]
    torch.testing.assert_close(grams[0][0].double(), exact[0], rtol=1e-5, atol=0)
    error = ((exact[0] - exact[1]) ** 2).sum() / (exact[1] ** 2).sum()
    assert square_error(*grams).item() == pytest.approx(error.item(), rel=1e-5)


def test_guided_gram_matrix_of_a_part_is_that_of_the_part_alone():
    features, weights = torch.rand(1, 3, 4, 6), torch.zeros(2, 4, 6)
    weights[0, :, :2], weights[1] = 1, 0.3
    centre = torch.rand(2, 3, 1, 1)
    grams = functional.guided_gram_matrix(features, weights, centre)
    torch.testing.assert_close(grams[0], functional.centred_gram_matrix(features[..., :2], centre[:1])[0])
    torch.testing.assert_close(grams[1], functional.centred_gram_matrix(features, centre[1:])[0])
    assert not functional.guided_gram_matrix(features, torch.zeros(1, 4, 6)).any()
