import pytest
import torch

from nst_core.pictures.resize import without_grain


def test_grain_is_smoothed_and_edges_stay():
    step = torch.full((1, 3, 40, 60), 0.2)
    step[..., 30:] = 0.8
    grain = 0.02 * torch.randn(step.shape, generator=torch.Generator().manual_seed(0))
    cleaned = without_grain(step + grain, 0.06)
    assert cleaned.shape == step.shape
    assert (cleaned - step).std() < 0.5 * grain.std()
    assert (cleaned[..., 30] - cleaned[..., 29]).mean() > 0.95 * 0.6


def test_more_grain_is_smoother_and_none_changes_nothing():
    picture = torch.rand((1, 3, 20, 20), generator=torch.Generator().manual_seed(0))
    assert without_grain(picture, 0.0) is picture
    spread = [without_grain(picture, grain).std() for grain in (0.01, 0.1, 1.0)]
    assert spread[0] > spread[1] > spread[2]


def test_single_pixel_can_be_smoothed():
    assert without_grain(torch.full((1, 3, 1, 1), 0.5), 0.1).flatten().tolist() == pytest.approx([0.5] * 3)
