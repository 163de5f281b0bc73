"""How long a render will take."""

import time
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError  # noqa: E402
from nst_core.base.iterative_settings import PLAIN_SETTINGS, IterativeSettings  # noqa: E402
from nst_core.features import catalogue as weights  # noqa: E402
from plugin.engine.imaging.picture import Picture  # noqa: E402
from plugin.engine.iterative.iterative_painting import render  # noqa: E402
from plugin.engine.iterative.time_estimate import estimate  # noqa: E402
from plugin.engine.progress import Stopped, Stopper  # noqa: E402


def test_it_takes_about_as_long_as_told():
    picture = Picture(np.random.default_rng(0).random((160, 240, 4), np.float32))
    settings = replace(PLAIN_SETTINGS, size=240, iterations=12)
    told = estimate([(160, 240)], settings, Stopper(), features="compact", device="cpu")
    began = time.perf_counter()
    done = render(picture, picture, settings, features="compact", device="cpu")
    took = time.perf_counter() - began
    print(told.seconds, took)
    assert told.seconds / 3 < took < told.seconds * 3  # other programs run beside this one
    assert (told.device, told.feature_network) == (done.device, done.feature_network)


def test_more_to_paint_takes_longer(slim_weights):
    def seconds(shapes, **settings) -> float:
        return estimate(shapes, replace(PLAIN_SETTINGS, **settings), Stopper(), features=str(slim_weights)).seconds

    one = seconds([(100, 150)], size=150, iterations=30)
    assert seconds([(100, 150)], size=150, iterations=3000) > 20 * one
    assert seconds([(100, 150)] * 20, size=150, iterations=30) > 5 * one
    assert seconds([(100, 150)], size=4096, iterations=30) > 20 * one


def test_it_can_be_stopped(slim_weights):
    class Impatient(Stopper):
        checks = 0

        def check(self):
            self.checks += 1
            if self.checks == 3:
                self.stop()
            super().check()

    with pytest.raises(Stopped):
        estimate([(100, 150)], IterativeSettings(), Impatient(), features=str(slim_weights))


def test_nothing_is_fetched(monkeypatch):
    monkeypatch.setattr(weights, "available", dict)
    with pytest.raises(StyleError, match=r"vgg19 will first be fetched, 548 MiB"):
        estimate([(100, 150)], IterativeSettings(), Stopper(), features="vgg19")
