import pytest

torch = pytest.importorskip("torch")

from nst_core.iterative.lbfgs import LBFGS


def run(optimizer, picture, objective, steps):
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = objective(picture)
        loss.backward()
        losses.append(loss.item())
        return losses[-1]

    for _ in range(steps):
        assert optimizer.step(closure) == losses[-1]
    return losses


def start():
    return torch.rand(1, 3, 12, 15, generator=torch.Generator().manual_seed(0)).requires_grad_(True)


def test_without_a_slope_steps_equal_pytorchs():
    target = torch.rand(1, 3, 12, 15, generator=torch.Generator().manual_seed(1))
    mixing = torch.randn(540, 540, generator=torch.Generator().manual_seed(2)) / 540**0.5

    def objective(picture):
        difference = (picture - target).flatten()
        return (mixing @ difference).square().sum() + difference.pow(4).sum()

    ours, theirs = start(), start()
    losses = run(LBFGS(ours, history=5), ours, objective, 20)
    other = torch.optim.LBFGS([theirs], max_iter=1, history_size=5, tolerance_grad=0.0, tolerance_change=0.0)
    assert losses == pytest.approx(run(other, theirs, objective, 20), rel=1e-3)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert losses[-1] < 0.05 * losses[0]


def test_slope_that_fits_the_objective_speeds_up_convergence():
    """When the gradient falls with the width of a change, a fitting slope makes all directions equally curved."""
    down, right = torch.fft.fftfreq(12)[:, None], torch.fft.rfftfreq(15)
    frequency = (down.square() + right.square()).sqrt().clamp(min=1 / 64)

    def objective(picture):
        return (torch.fft.rfft2(picture, norm="ortho").abs().square() * frequency).sum()

    losses = {}
    for slope in (0.0, 1.0):
        picture = start()
        losses[slope] = run(LBFGS(picture, history=5, slope=slope), picture, objective, 12)[-1]
    assert losses[1.0] < 0.01 * losses[0.0]


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_optimizer_resumes_from_its_state_dict(slope):
    def objective(picture):
        return (picture - 0.3).pow(4).sum()

    whole, parts = start(), start()
    run(LBFGS(whole, 3, slope), whole, objective, 14)
    first = LBFGS(parts, 3, slope)
    run(first, parts, objective, 9)  # the guess learns from each of the first and then from every second
    second = LBFGS(parts, 3, slope)
    second.load_state_dict(first.state_dict())
    run(second, parts, objective, 5)
    assert torch.equal(whole, parts)


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_zero_gradient_leaves_the_picture_unchanged(slope):
    """A network may see no features in a photo of one colour."""
    picture = start()
    before = picture.detach().clone()
    assert run(LBFGS(picture, 3, slope), picture, lambda values: 0.0 * values.sum(), 3) == [0.0] * 3
    assert torch.equal(picture, before)
