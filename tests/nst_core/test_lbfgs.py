import pytest

torch = pytest.importorskip("torch")

from nst_core import lbfgs  # noqa: E402
from nst_core.lbfgs import LBFGS  # noqa: E402


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


def test_without_a_slope_it_is_pytorchs_own():
    target = torch.rand(1, 3, 12, 15, generator=torch.Generator().manual_seed(1))
    mixing = torch.randn(540, 540, generator=torch.Generator().manual_seed(2)) / 540**0.5

    def objective(picture):
        difference = (picture - target).flatten()
        return (mixing @ difference).square().sum() + difference.pow(4).sum()

    ours, theirs = start(), start()
    found = run(LBFGS(ours, history=5), ours, objective, 20)
    other = torch.optim.LBFGS([theirs], max_iter=1, history_size=5, tolerance_grad=0.0, tolerance_change=0.0)
    assert found == pytest.approx(run(other, theirs, objective, 20), rel=1e-3)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert found[-1] < 0.05 * found[0]


def test_with_a_slope_it_prefers_broad_changes():
    """Where the gradient falls with the width of a change, a fitting slope leaves nothing to measure."""
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
def test_its_state_is_all_that_it_knows(slope):
    def objective(picture):
        return (picture - 0.3).pow(4).sum()

    whole, parts = start(), start()
    run(LBFGS(whole, 3, slope), whole, objective, 9)
    first = LBFGS(parts, 3, slope)
    run(first, parts, objective, 4)
    second = LBFGS(parts, 3, slope)
    second.load_state_dict(first.state_dict())
    run(second, parts, objective, 5)
    assert torch.equal(whole, parts)


def uneven(picture):
    """A loss that is 25 times as curved in one half of the picture as in the other."""
    middle = picture.shape[-1] // 2
    return (picture[..., :middle] - 0.3).pow(2).sum() + 25 * (picture[..., middle:] - 0.6).pow(2).sum()


def test_it_knows_places_by_what_moves_did_there():
    """The secant equation of a diagonal inverse Hessian, which these two halves have but for their seam."""
    picture = start()
    optimizer = LBFGS(picture, history=3, slope=1e-9)
    run(optimizer, picture, uneven, 3)
    guess = lbfgs._guess(torch.ones_like(picture), optimizer.state[picture])
    flat, curved = guess[..., :5].mean(), guess[..., 9:].mean()
    assert flat / curved == pytest.approx(25, rel=0.01)


def test_places_make_it_faster(monkeypatch):
    losses = {}
    for known in (True, False):
        if not known:
            monkeypatch.setattr(lbfgs, "_guess", lambda gradient, state: gradient)
        # One pair, so that it is the guess that counts.
        picture = start()
        losses[known] = run(LBFGS(picture, history=1, slope=0.5), picture, uneven, 12)[-1]
    assert losses[True] < 0.5 * losses[False], losses
