"""Decoders for compact, and trainings of them on crops of our photos."""

import pytest

from nst_core.base.training_settings import DecoderSettings


@pytest.fixture(scope="session")
def encoder():
    pytest.importorskip("torch")
    from nst_core.features.catalogue import load_features
    from nst_core.instant.decoder import trunk_of

    return trunk_of(load_features("compact"))


@pytest.fixture
def settings():
    return DecoderSettings(level=2, steps=6, batch=4, crop=48)


@pytest.fixture
def train(encoder, photos_folder, tmp_path):
    """Trains a decoder; returns it, the step and the losses."""
    from nst_core.instant.decoder import Decoder, channels_of
    from nst_core.instant.decoder_training import DecoderData, DecoderTraining
    from nst_core.pictures.photos import Photos

    photos = Photos(photos_folder, 48)

    def run(settings, name="a", stop_after=None):
        losses = []

        def progress(step):
            losses.append(step.losses)
            return step.step != stop_after

        data = DecoderData(
            encoder, photos, photos, lambda: Decoder(settings.level, channels_of(encoder, settings.level))
        )
        training = DecoderTraining(data, settings, tmp_path / f"{name}.checkpoint")
        return training.run(progress), training.step_count, losses

    return run
