import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")


from nst_core.pictures.dead_leaves import DeadLeaves


@pytest.fixture(scope="module")
def batch():
    return DeadLeaves().batch(5, 12, 64, seed=1)


def test_seed_and_step_decide_the_pictures(batch):
    assert batch.shape == (12, 3, 64, 64) and batch.dtype == torch.float32
    assert batch.min() >= 0 and batch.max() <= 1
    assert torch.equal(DeadLeaves().batch(5, 12, 64, seed=1), batch)
    for other in (DeadLeaves().batch(6, 12, 64, seed=1), DeadLeaves().batch(5, 12, 64, seed=2)):
        assert (other - batch).abs().mean() > 0.05


def test_parts_of_a_batch_add_up_to_it(batch):
    parts = [DeadLeaves().batch(5, 12, 64, seed=1, part=part) for part in (slice(0, 5), slice(5, 12))]
    assert torch.equal(torch.cat(parts), batch)


def test_pictures_differ_and_are_not_flat(batch):
    assert batch.flatten(1).std(1).min() > 0.02
    assert len({tuple(p.mean((1, 2)).mul(50).int().tolist()) for p in batch}) > 8


def test_spectrum_falls_off_like_that_of_photos():
    """The power of photos falls with about the square of the frequency: -1.2 to -2.8, noise has 0."""
    grey = DeadLeaves().batch(0, 24, 128, seed=0).mean(1).numpy()
    window = np.hanning(128)
    power = np.abs(np.fft.fft2((grey - grey.mean((1, 2), keepdims=True)) * window * window[:, None])) ** 2
    fy, fx = np.meshgrid(*[np.fft.fftfreq(128)] * 2, indexing="ij")
    frequency = np.hypot(fx, fy)
    edges = np.geomspace(0.02, 0.4, 9)
    radial = [power[:, (frequency >= a) & (frequency < b)].mean() for a, b in itertools.pairwise(edges)]
    slope = np.polyfit(np.log((edges[1:] * edges[:-1]) ** 0.5), np.log(radial), 1)[0]
    assert -2.8 < slope < -1.2, slope
