from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.base.training_settings import DecoderSettings
from nst_core.features.catalogue import COMPACT
from nst_core.instant.decoder import Decoder, save_decoder
from plugin.engine.training.decoder_files import DecoderRequest, train_decoder


@pytest.fixture
def request_for(photos_folder, tmp_path):
    def call(level, **files):
        settings = DecoderSettings(level=level, steps=1, crop=64, learning_rate=1e-7)
        return DecoderRequest(
            photos_folder, photos_folder, tmp_path / "out.safetensors", settings, **files, device="cpu"
        )

    return call


def test_training_starts_from_a_published_decoder(request_for, assets, photos_folder):
    weights = assets / "weights"
    start = {
        "start": weights / "vgg19_distilled16x_decoder2.safetensors",
        "start_encoder": weights / "vgg19_distilled16x_encoder2.safetensors",
    }
    report = train_decoder(request_for(2, **start, held_out=photos_folder), lambda progress: True)
    assert report["steps"] == 1 and report["psnr"] > 24


def test_training_goes_on_from_its_own_decoder_of_the_same_level(request_for, tmp_path):
    start = tmp_path / "start.safetensors"
    save_decoder(Decoder(2, 48), start, {})
    assert train_decoder(request_for(2, start=start), lambda progress: True)["steps"] == 1
    with pytest.raises(StyleError, match="is of level 2, not 3"):
        train_decoder(replace(request_for(3, start=start), output=tmp_path / "b.safetensors"), lambda progress: True)


def test_encoder_must_be_slim(request_for, assets):
    start = assets / "weights" / "vgg19_distilled16x_decoder2.safetensors"
    with pytest.raises(StyleError, match="is not a slim encoder"):
        train_decoder(request_for(2, start=start, start_encoder=COMPACT), lambda progress: True)
