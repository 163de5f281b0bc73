import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from export.instant_graphs import OUTPUT_FOLDER, decoder_graph, encoder_graph, main, write_networks
from export.measure import open_quietly
from nst_core.base.errors import StyleError
from nst_core.features.catalogue import load_features
from nst_core.instant.decoder import LEVELS, Decoder, channels_of, layer_of, save_decoder, trunk_of


@pytest.fixture(scope="module")
def trunk():
    return trunk_of(load_features("compact"))


@pytest.mark.parametrize("level", LEVELS)
def test_bundled_encoder_computes_compacts_features(trunk, level):
    photo = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(level))
    session = open_quietly(onnx.load(OUTPUT_FOLDER / f"encoder-{level}.onnx"))
    (features,) = session.run(None, {"image": photo.numpy()})
    expected = trunk(photo, [layer_of(level)])[layer_of(level)].numpy()
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4 * expected.max())


@pytest.mark.parametrize("level", LEVELS)
def test_bundled_decoder_reconstructs_a_photo(level, samples):
    from PIL import Image

    photo = np.asarray(Image.open(samples / "chelsea.jpg").crop((100, 40, 324, 264)), np.float32) / 255
    values = photo.transpose(2, 0, 1)[None]
    for name in (f"encoder-{level}", f"decoder-{level}"):
        session = open_quietly(onnx.load(OUTPUT_FOLDER / f"{name}.onnx"))
        (values,) = session.run(None, {session.get_inputs()[0].name: values})
    error = np.square(values[0].transpose(1, 2, 0) - photo).mean()
    assert -10 * np.log10(error) > {1: 36, 2: 26, 3: 23, 4: 20, 5: 15}[level]
    assert values.min() >= 0 and values.max() <= 1


def test_bundled_files_are_small_and_have_the_opset():
    files = sorted(OUTPUT_FOLDER.glob("*.onnx"))
    assert [file.stem for file in files] == [f"{part}-{level}" for part in ("decoder", "encoder") for level in LEVELS]
    assert sum(file.stat().st_size for file in files) < 12e6
    assert {entry.version for file in files for entry in onnx.load(file).opset_import} == {18}


def test_graphs_take_any_size(trunk):
    decoder = Decoder(3, channels_of(trunk, 3))
    encoder_session, decoder_session = open_quietly(encoder_graph(trunk, 3)), open_quietly(decoder_graph(decoder))
    for height, width in ((32, 32), (48, 160)):
        (features,) = encoder_session.run(None, {"image": np.zeros((1, 3, height, width), np.float32)})
        assert features.shape == (1, 96, height // 4, width // 4)
        (image,) = decoder_session.run(None, {"features": features})
        assert image.shape == (1, 3, height, width)


def test_network_that_half_precision_would_change_is_refused(trunk, tmp_path):
    decoder = Decoder(1, channels_of(trunk, 1))
    with torch.no_grad():
        decoder.steps["conv1_1"].weight.fill_(1e-6)  # below what half precision can hold
        decoder.steps["conv1_1"].bias.fill_(1e-9)
    with pytest.raises(StyleError, match="nothing was written"):
        write_networks(trunk, [decoder], tmp_path)
    assert not (tmp_path / "decoder-1.onnx").exists()


def test_command_writes_both_networks_of_a_level(trunk, tmp_path, monkeypatch):
    monkeypatch.setattr("export.instant_graphs.OUTPUT_FOLDER", tmp_path)
    save_decoder(Decoder(2, channels_of(trunk, 2)), tmp_path / "two.safetensors", {})
    main([str(tmp_path / "two.safetensors")])
    assert {path.name for path in tmp_path.glob("*.onnx")} == {"encoder-2.onnx", "decoder-2.onnx"}
