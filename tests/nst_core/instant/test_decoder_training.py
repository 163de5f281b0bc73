from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.base.training_settings import DecoderSettings
from nst_core.instant.decoder_training import training_batch
from nst_core.pictures.photos import Photos


def test_decoder_learns_to_reconstruct(train, settings):
    _decoder, step, losses = train(replace(settings, steps=80, learning_rate=3e-3))
    assert step == 80
    early, late = (sum(entry["pixels"] for entry in part) for part in (losses[:5], losses[-5:]))
    assert late < 0.3 * early


@pytest.mark.parametrize("style_weight", [0.0, 0.1])
def test_resumed_training_equals_an_uninterrupted_one(train, settings, style_weight):
    settings = replace(settings, style_weight=style_weight)
    whole, _, _ = train(settings, "whole")
    _, step, _ = train(settings, "parts", stop_after=3)
    assert step == 3
    parts, step, losses = train(settings, "parts")
    assert (step, len(losses)) == (6, 3)
    for a, b in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_style_loss_is_reported_if_it_counts(train, settings):
    _, _, losses = train(replace(settings, steps=1, style_weight=0.5))
    assert set(losses[0]) == {"pixels", "features", "style"}
    _, _, losses = train(replace(settings, steps=1, feature_weight=0.0), "b")
    assert set(losses[0]) == {"pixels"}


def test_checkpoint_of_another_training_is_refused(train, settings, tmp_path):
    train(replace(settings, steps=1))
    with pytest.raises(StyleError, match="other settings"):
        train(replace(settings, seed=1))
    (tmp_path / "b.checkpoint").write_bytes(b"nonsense")
    with pytest.raises(StyleError, match="not a checkpoint"):
        train(settings, "b")


def test_half_the_batch_are_photos_and_a_quarter_paintings(photos_folder, tmp_path, settings):
    from PIL import Image

    Image.new("RGB", (60, 60), (255, 0, 0)).save(tmp_path / "red.png")
    batch = training_batch(Photos(photos_folder, 48), Photos(tmp_path, 48), replace(settings, batch=8), 1)
    red = (batch - torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)).abs().amax((1, 2, 3))
    assert batch.shape == (8, 3, 48, 48)
    assert (red[4:6] == 0).all() and (red[:4] > 0.1).all() and (red[6:] > 0).all()


def test_crop_must_be_a_multiple_of_16():
    with pytest.raises(StyleError, match="multiple of 16"):
        DecoderSettings(crop=150)


def test_learning_rate_rises_and_falls():
    settings = DecoderSettings(steps=1000, warmup=10, learning_rate=1.0)
    rates = [settings.learning_rate_at(step) for step in (0, 9, 500, 999)]
    assert rates[0] < rates[1] and rates[1] > rates[2] > rates[3] and rates[3] < 1e-4
