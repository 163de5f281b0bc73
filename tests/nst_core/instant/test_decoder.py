import pytest

torch = pytest.importorskip("torch")

from nst_core.base.errors import StyleError
from nst_core.features.catalogue import load_features
from nst_core.features.combined import CombinedNetwork
from nst_core.instant.decoder import (
    LEVELS,
    Decoder,
    channels_of,
    decoder_shape,
    layer_of,
    psnr,
    read_decoder,
    save_decoder,
    trunk_of,
)


def test_shape_is_that_of_the_slim_decoders():
    assert [(str(layer), into, out) for layer, into, out in decoder_shape(3, 96)] == [
        ("conv3_1", 96, 32),
        ("conv2_2", 32, 32),
        ("conv2_1", 32, 16),
        ("conv1_2", 16, 16),
        ("conv1_1", 16, 3),
    ]
    assert [(str(layer), into, out) for layer, into, out in decoder_shape(1, 16)] == [
        ("conv1_2", 16, 32),
        ("conv1_1", 32, 3),
    ]
    assert len(decoder_shape(5, 256)) == 13


@pytest.mark.parametrize("level", LEVELS)
def test_decoder_gives_the_encoded_pictures_size(encoder, level):
    layer = layer_of(level)
    features = encoder(torch.rand(2, 3, 48, 64), [layer])[layer]
    assert Decoder(level, channels_of(encoder, level))(features).shape == (2, 3, 48, 64)


def test_saved_decoder_differs_only_by_half_precision(encoder, tmp_path):
    decoder = Decoder(4, channels_of(encoder, 4))
    save_decoder(decoder, tmp_path / "decoder.safetensors", {"steps": "0"})
    read = read_decoder(tmp_path / "decoder.safetensors")
    features = torch.rand(1, 160, 4, 4)
    assert read.level == 4
    torch.testing.assert_close(read(features), decoder(features), rtol=2e-2, atol=2e-2)


def test_file_of_another_network_is_refused(slim_weights, tmp_path):
    with pytest.raises(StyleError, match="is not a decoder"):
        read_decoder(slim_weights)
    (tmp_path / "noise").write_bytes(b"noise" * 100)
    with pytest.raises(StyleError, match="is not a decoder"):
        read_decoder(tmp_path / "noise")


def test_full_disk_raises_style_error(full_disk, tmp_path):
    with full_disk(), pytest.raises(StyleError, match="cannot be written"):
        save_decoder(Decoder(2, 48), tmp_path / "decoder.safetensors", {})


def test_psnr_follows_from_the_mean_square_error(encoder):
    decoder = Decoder(1, 16)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.zero_()
    assert psnr(decoder, encoder, torch.full((1, 3, 40, 40), 0.1)) == pytest.approx(20.0)


def test_combined_network_is_refused_as_encoder():
    compact = load_features("compact")
    with pytest.raises(StyleError, match="several networks"):
        trunk_of(CombinedNetwork([compact, compact]))
