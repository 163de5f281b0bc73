import pytest

torch = pytest.importorskip("torch")

from nst_core.iterative import inverse_hessian
from nst_core.iterative.lbfgs import LBFGS


def run(optimizer, picture, objective, steps):
    """Take steps; return the last loss."""

    def closure():
        optimizer.zero_grad()
        loss = objective(picture)
        loss.backward()
        return loss.item()

    return [optimizer.step(closure) for _ in range(steps)][-1]


def start():
    return torch.rand(1, 3, 64, 128, generator=torch.Generator().manual_seed(0)).requires_grad_(True)


def learned_step_lengths(objective):
    """Return the step lengths of each band after a few steps: [1, 3, h, w] each."""
    picture = start()
    optimizer = LBFGS(picture, history=3, slope=1e-9)
    run(optimizer, picture, objective, 4)
    return optimizer.state[picture]["reach"]


def uneven(picture):
    """A loss that is 25 times as curved in one half of the picture as in the other."""
    middle = picture.shape[-1] // 2
    return (picture[..., :middle] - 0.3).pow(2).sum() + 25 * (picture[..., middle:] - 0.6).pow(2).sum()


def test_step_lengths_are_inverse_to_the_curvature():
    """The two halves have a diagonal inverse Hessian, except at their seam."""
    for lengths, tolerance in zip(learned_step_lengths(uneven), (0.02, 0.4, 0.5), strict=True):
        eighth = lengths.shape[-1] // 8
        flat, curved = lengths[..., eighth : 3 * eighth].mean(), lengths[..., 5 * eighth : 7 * eighth].mean()
        assert flat / curved == pytest.approx(25, rel=tolerance)


def test_brightness_and_colours_have_their_own_step_lengths():
    def objective(picture):
        brightness = picture.mean(1) - 0.4
        return (picture - 0.4).square().sum() + 24 * 3 * brightness.square().sum()

    for lengths in learned_step_lengths(objective):
        brightness, *colours = lengths.mean((0, 2, 3))
        for colour in colours:
            assert colour / brightness == pytest.approx(25, rel=0.01)


def test_fine_and_broad_patterns_have_their_own_step_lengths():
    def objective(picture):
        height, width = picture.shape[-2:]
        frequency = torch.fft.fftfreq(height)[:, None].square() + torch.fft.rfftfreq(width).square()
        spectrum = torch.fft.rfft2(picture, norm="ortho").abs().square()
        return (spectrum * (1 + 24 * (frequency > 0.177**2))).sum()

    fine, _, broad = (lengths.mean() for lengths in learned_step_lengths(objective))
    assert 15 < broad / fine < 35


def test_step_lengths_by_place_speed_up_convergence(monkeypatch):
    def equal_lengths(moved, changed, bands):
        return [torch.ones(1, 3, *band.grid) for band in bands]

    losses = {}
    for by_place in (True, False):
        if not by_place:
            monkeypatch.setattr(inverse_hessian, "step_lengths", equal_lengths)
        # One pair, so the guess matters most.
        picture = start()
        losses[by_place] = run(LBFGS(picture, history=1, slope=0.5), picture, uneven, 12)
    assert losses[True] < 0.5 * losses[False], losses
