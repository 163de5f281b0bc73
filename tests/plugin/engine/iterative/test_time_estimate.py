import time
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import PLAIN_SETTINGS, IterativeSettings
from nst_core.base.recipes import Recipe
from nst_core.features import catalogue
from plugin.engine.imaging.picture import Picture
from plugin.engine.iterative.iterative_painting import IterativeOptions, paint_iteratively
from plugin.engine.iterative.time_estimate import estimate
from plugin.engine.progress import StoppedError, Stopper


def test_render_takes_about_as_long_as_estimated():
    picture = Picture(np.random.default_rng(0).random((160, 240, 4), np.float32))
    recipe = Recipe(replace(PLAIN_SETTINGS, size=240, iterations=12), "compact")
    estimated = estimate([(160, 240)], recipe, Stopper(), "cpu")
    began = time.perf_counter()
    done = paint_iteratively(picture, picture, recipe, options=IterativeOptions(device="cpu"))
    took = time.perf_counter() - began
    print(estimated.seconds, took)
    assert estimated.seconds / 3 < took < estimated.seconds * 3  # other programs run beside this one
    assert (estimated.device, estimated.feature_network) == (done.device, done.feature_network)


def test_more_iterations_photos_and_pixels_take_longer(slim_weights):
    def seconds(shapes, **settings) -> float:
        recipe = Recipe(replace(PLAIN_SETTINGS, **settings), str(slim_weights))
        return estimate(shapes, recipe, Stopper()).seconds

    one = seconds([(100, 150)], size=150, iterations=30)
    assert seconds([(100, 150)], size=150, iterations=3000) > 20 * one
    assert seconds([(100, 150)] * 20, size=150, iterations=30) > 5 * one
    assert seconds([(100, 150)], size=4096, iterations=30) > 20 * one


def test_estimate_can_be_stopped(slim_weights):
    class Impatient(Stopper):
        checks = 0

        def check(self):
            self.checks += 1
            if self.checks == 3:
                self.stop()
            super().check()

    with pytest.raises(StoppedError):
        estimate([(100, 150)], Recipe(IterativeSettings(), str(slim_weights)), Impatient())


def test_missing_weights_are_not_fetched(monkeypatch):
    monkeypatch.setattr(catalogue, "available", dict)
    with pytest.raises(StyleError, match=r"vgg19 will be fetched first \(575 MB\)"):
        estimate([(100, 150)], Recipe(IterativeSettings(), "vgg19"), Stopper())
