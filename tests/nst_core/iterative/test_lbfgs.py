import pytest

torch = pytest.importorskip("torch")

from nst_core.iterative import lbfgs  # noqa: E402
from nst_core.iterative.lbfgs import LBFGS  # noqa: E402


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
    run(LBFGS(whole, 3, slope), whole, objective, 14)
    first = LBFGS(parts, 3, slope)
    run(first, parts, objective, 9)  # of which it looks at each and then at every second
    second = LBFGS(parts, 3, slope)
    second.load_state_dict(first.state_dict())
    run(second, parts, objective, 5)
    assert torch.equal(whole, parts)


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_where_nothing_pulls_the_picture_stays(slope):
    """As a photo of one colour may, whose features a network does not see."""
    picture = start()
    before = picture.detach().clone()
    assert run(LBFGS(picture, 3, slope), picture, lambda values: 0.0 * values.sum(), 3) == [0.0] * 3
    assert torch.equal(picture, before)


def start_larger():
    return torch.rand(1, 3, 64, 128, generator=torch.Generator().manual_seed(0)).requires_grad_(True)


def reach(objective):
    """What is known of each band after a few steps: [1, 3, h, w] each."""
    picture = start_larger()
    optimizer = LBFGS(picture, history=3, slope=1e-9)
    run(optimizer, picture, objective, 4)
    return optimizer.state[picture]["reach"]


def uneven(picture):
    """A loss that is 25 times as curved in one half of the picture as in the other."""
    middle = picture.shape[-1] // 2
    return (picture[..., :middle] - 0.3).pow(2).sum() + 25 * (picture[..., middle:] - 0.6).pow(2).sum()


def test_it_knows_places_by_what_moves_did_there():
    """The secant equation of a diagonal inverse Hessian, which these two halves have but for their seam."""
    for found, few in zip(reach(uneven), (0.02, 0.4, 0.5), strict=True):
        eighth = found.shape[-1] // 8
        flat, curved = found[..., eighth : 3 * eighth].mean(), found[..., 5 * eighth : 7 * eighth].mean()
        assert flat / curved == pytest.approx(25, rel=few)


def test_it_knows_colours():
    def objective(picture):
        brightness = picture.mean(1) - 0.4
        return (picture - 0.4).square().sum() + 24 * 3 * brightness.square().sum()

    for found in reach(objective):
        brightness, *colours = found.mean((0, 2, 3))
        for colour in colours:
            assert colour / brightness == pytest.approx(25, rel=0.01)


def test_it_knows_how_fine_patterns_are():
    def objective(picture):
        height, width = picture.shape[-2:]
        frequency = torch.fft.fftfreq(height)[:, None].square() + torch.fft.rfftfreq(width).square()
        spectrum = torch.fft.rfft2(picture, norm="ortho").abs().square()
        return (spectrum * (1 + 24 * (frequency > 0.177**2))).sum()

    fine, _, broad = (found.mean() for found in reach(objective))
    assert 15 < broad / fine < 35


def test_the_bands_together_are_the_picture():
    """What is split in bands and joined again is as it was, but for the slope of the amplitudes, at any size."""
    for shape in ((37, 50), (64, 33), (12, 15)):
        picture = torch.rand(1, 3, *shape, generator=torch.Generator().manual_seed(0))
        found = lbfgs._guess(picture, lbfgs._bands(picture, 0.0), None)
        torch.testing.assert_close(found, picture, rtol=1e-4, atol=1e-5)


def test_places_make_it_faster(monkeypatch):
    losses = {}
    for known in (True, False):
        if not known:
            monkeypatch.setattr(
                lbfgs, "_reach", lambda moved, changed, bands: [torch.ones(1, 3, *b.grid) for b in bands]
            )
        # One pair, so that it is the guess that counts.
        picture = start_larger()
        losses[known] = run(LBFGS(picture, history=1, slope=0.5), picture, uneven, 12)[-1]
    assert losses[True] < 0.5 * losses[False], losses
