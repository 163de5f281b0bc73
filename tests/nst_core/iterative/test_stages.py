from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from nst_core.base.iterative_settings import PLAIN_SETTINGS
from nst_core.features.catalogue import load_features
from nst_core.features.combined import CombinedNetwork
from nst_core.features.vgg import build_vgg
from nst_core.iterative.stages import plan_stages


def test_sizes_grow_by_the_root_of_two(network):
    settings = replace(PLAIN_SETTINGS, size=512, coarsest=128, optimizer="sgd", iterations=10, first_iterations=20)
    plan = plan_stages(network, settings, 400, 600)
    assert [(one.size, one.first, one.last) for one in plan] == [
        (128, 1, 20),
        (181, 21, 30),
        (256, 31, 40),
        (362, 41, 50),
        (512, 51, 60),
    ]
    assert {one.optimizer for one in plan} == {"sgd"}
    assert [one.size for one in plan_stages(network, settings, 75, 600)] == [256, 362, 512]  # 22 pixels are too few
    alone = replace(settings, first_iterations=0, coarsest=0)
    assert [one.size for one in plan_stages(network, alone, 400, 600)] == [512]


def test_first_and_smaller_sizes_have_their_own_iterations(network):
    def steps(settings):
        return [(one.first, one.last) for one in plan_stages(network, settings, 512, 512)]

    settings = replace(PLAIN_SETTINGS, size=512, coarsest=256, optimizer="adam", iterations=30, smaller_iterations=7)
    assert steps(settings) == [(1, 7), (8, 14), (15, 44)]
    first = replace(settings, first_iterations=3)
    assert steps(first) == [(1, 3), (4, 10), (11, 40)]
    # There is no smaller size than the coarsest.
    assert steps(replace(first, coarsest=600)) == [(1, 30)]


def test_distilled_features_end_with_adam(slim_weights):
    """Features from heads are predictions; a plain network's are not, and the first network decides for a mixture."""
    slim, plain = load_features(str(slim_weights)), build_vgg("plain", vgg_state(), "vgg19")
    mixtures = CombinedNetwork([plain, slim]), CombinedNetwork([slim, plain])
    settings = replace(PLAIN_SETTINGS, size=64, coarsest=45, iterations=9, smaller_iterations=2)

    def chosen(network, settings):
        return [(one.size, one.first, one.last, one.optimizer) for one in plan_stages(network, settings, 64, 64)]

    of_its_own = [(45, 1, 2, "lbfgs"), (64, 3, 11, "lbfgs")]
    distilled = [(45, 1, 2, "lbfgs"), (64, 3, 5, "lbfgs"), (64, 6, 11, "adam")]
    plans = [chosen(network, settings) for network in (slim, plain, *mixtures)]
    assert plans == [distilled, of_its_own, of_its_own, distilled]
    assert chosen(slim, replace(settings, optimizer="lbfgs")) == of_its_own
    assert {name for *_, name in chosen(slim, replace(settings, optimizer="adam"))} == {"adam"}
    assert chosen(slim, replace(PLAIN_SETTINGS, size=64, iterations=1)) == [(64, 1, 1, "lbfgs")]


def vgg_state():
    return {"features.0.weight": torch.rand(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}
