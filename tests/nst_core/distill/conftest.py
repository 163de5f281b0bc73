"""Distillations of a tiny random network on crops of our photos."""

import pytest

from nst_core.base.training_settings import DistillSettings


@pytest.fixture
def settings():
    return DistillSettings(channels=(4, 6, 8, 8, 8), steps=6, batch=4, crop=48)


@pytest.fixture
def distil(slim_weights, photos_folder):
    """Runs a distillation; returns the student, the step and the losses."""
    pytest.importorskip("torch")
    from nst_core.distill.distillation import Distillation, DistillData
    from nst_core.features.catalogue import load_features
    from nst_core.pictures.photos import Photos

    teacher, photos = load_features(str(slim_weights)), Photos(photos_folder, 48)

    def run(settings, path, stop_after=None, start=None):
        losses = []

        def progress(step):
            losses.append(step.losses)
            return step.step != stop_after

        training = Distillation(DistillData(teacher, photos, photos, start), settings, path)
        return training.run(progress), training.step_count, losses

    return run


@pytest.fixture
def run(distil, settings, tmp_path):
    """Runs a distillation with the checkpoint NAME.checkpoint."""

    def call(chosen=settings, name="a", stop_after=None):
        return distil(chosen, tmp_path / f"{name}.checkpoint", stop_after)

    return call
