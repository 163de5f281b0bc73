import pytest

torch = pytest.importorskip("torch")

from nst_core.base.iterative_settings import IterativeSettings
from nst_core.iterative.optimizers import ADAM_BETAS, new_optimizer
from nst_core.pictures.resize import resized


def test_adam_takes_its_moments_to_the_next_size():
    """The moments of a smooth picture are about those that it would have had at the larger size."""
    ramp = torch.linspace(0, 1, 32).expand(1, 3, 24, 32)
    optimizers = []
    for height, width in ((24, 32), (48, 64)):
        image = resized(ramp, height, width).clone().requires_grad_(True)
        optimizer = torch.optim.Adam([image], 1e-9, betas=ADAM_BETAS)
        for _ in range(3):
            optimizer.zero_grad()
            image.square().mean().backward()
            optimizer.step()
        optimizers.append((optimizer, image))
    (small, _), (large, image) = optimizers
    carried = new_optimizer("adam", image, IterativeSettings(), small).state_dict()["state"][0]
    expected = large.state_dict()["state"][0]
    assert carried["step"] == 3
    for name in ("exp_avg", "exp_avg_sq"):
        inside = (..., slice(None), slice(4, -4))
        torch.testing.assert_close(carried[name][inside], expected[name][inside], rtol=0.2, atol=0)
