import pytest

torch = pytest.importorskip("torch")

from nst_core.distill.head_losses import head_losses
from nst_core.distill.student import CONV_LAYERS, new_student, relu_of
from nst_core.features.catalogue import load_features


@pytest.mark.parametrize("layer", CONV_LAYERS)
def test_losses_equal_those_of_all_predicted_channels(slim_weights, layer, settings):
    """The code uses inner products of the student's own channels; this test computes what the heads predict."""
    generator = torch.Generator().manual_seed(1)
    student = new_student(settings, dict.fromkeys(CONV_LAYERS, 12))
    for head in student.heads.values():
        head.bias.data.normal_(generator=generator)
    relu, scale = relu_of(layer), 0.5 + torch.rand(1, 12, 1, 1, generator=generator)
    batch = torch.rand(3, 3, 48, 64, generator=generator)
    teacher = load_features(str(slim_weights))(batch, [layer])[layer]
    losses = head_losses(student, layer, student.without_heads()(batch, [relu])[relu], teacher, scale)

    features = {name: value.double() for name, value in student(batch, [layer, relu]).items()}
    before = (teacher / scale).double()
    after = before.relu()
    loss = (features[relu] - after).square().mean() + 0.1 * (features[layer] - before).square().mean()
    centred = [(scale * (value - after.mean((2, 3), keepdim=True))).flatten(2) for value in (features[relu], after)]
    gram, target = (value @ value.transpose(1, 2) / value.shape[2] for value in centred)
    size = target.square().sum((1, 2))
    expected = loss, 2 * ((gram - target).square().sum((1, 2)) / (size + size.mean())).mean()
    parameters = [p for name, p in student.named_parameters() if name.startswith("convolutions.conv1_1")]
    for one, other in zip(losses, expected, strict=True):
        assert one.item() == pytest.approx(other.item(), rel=1e-5)
        gradients = (torch.autograd.grad(value, parameters, retain_graph=True) for value in (one, other))
        for a, b in zip(*gradients, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * b.abs().max().item())
