import pytest

torch = pytest.importorskip("torch")

from nst_core import losses  # noqa: E402


def test_gram_matrix_by_hand():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # two channels, one row of two pixels
    torch.testing.assert_close(losses.gram_matrix(features), torch.tensor([[[2.5, 5.5], [5.5, 12.5]]]))


def test_gram_matrix_does_not_depend_on_the_picture_size():
    features = torch.rand(1, 4, 8, 8)
    torch.testing.assert_close(losses.gram_matrix(features), losses.gram_matrix(features.tile(1, 1, 3, 2)))


@pytest.mark.parametrize("batch", [1, 2])
def test_a_centred_gram_matrix_and_its_gradient_are_those_of_the_features_less_the_centre(batch):
    features, centre = torch.rand(2, 5, 6, 7, requires_grad=True), torch.rand(batch, 5, 1, 1)
    plain = (features - centre).flatten(2)
    expected, found = plain @ plain.transpose(1, 2) / 42, losses.gram_matrix(features, centre)
    torch.testing.assert_close(found, expected)
    weights = torch.rand(2, 5, 5)  # not symmetrical
    gradients = [torch.autograd.grad((g * weights).sum(), features, retain_graph=True)[0] for g in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_relative_error_has_no_units():
    target, value = torch.rand(2, 3, 4), torch.rand(2, 3, 4)
    error = losses.relative_square_error(value, target)
    torch.testing.assert_close(losses.relative_square_error(value * 1000, target * 1000), error)
    torch.testing.assert_close(losses.relative_square_error(torch.zeros_like(target), target), torch.tensor(1.0))


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
