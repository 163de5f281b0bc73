import pytest

torch = pytest.importorskip("torch")

from nst_core.distill.agreement import agreement
from nst_core.features.catalogue import load_features
from nst_core.features.vgg import VGGNetwork


def test_dead_channels_count_as_no_agreement(slim_weights):
    teacher = load_features(str(slim_weights))
    pictures = [torch.rand(1, 3, 32, 32) for _ in range(2)]
    assert agreement(teacher, teacher, pictures, ["relu1_1"])["relu1_1"] == pytest.approx(1.0, abs=1e-6)
    dead = VGGNetwork("dead", {"conv1_1": (torch.zeros(12, 3, 3, 3), -torch.ones(12))})
    assert agreement(dead, teacher, pictures, ["relu1_1"])["relu1_1"] == 0.0
