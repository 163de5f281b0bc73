import pytest

torch = pytest.importorskip("torch")

from export.from_onnx import read_starting_network
from nst_core.base.errors import StyleError
from nst_core.base.training_settings import TrainSettings, TransformerSettings
from nst_core.fast.training_checkpoint import TrainingCheckpoint, save_training
from nst_core.fast.transformer import TransformerNetwork
from nst_core.style_file import StyleCard
from plugin.engine.training.style_export import export_checkpoint

SHAPE = TransformerSettings(width=4, residual_blocks=1, styles=3)


def trained_network():
    torch.manual_seed(1)
    network = TransformerNetwork(SHAPE)
    for name, table in network.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(table, 0.5)
    return TrainingCheckpoint(TrainSettings(network=SHAPE), 40, network, {}, "slim", ("ab",) * 3, 12, 0)


def test_style_left_out_of_an_export_changes_no_other(tmp_path):
    done = trained_network()
    save_training(done, tmp_path / "three.checkpoint")
    cards = [StyleCard(name) for name in ("One", "Two", "Three")]
    report = export_checkpoint(tmp_path / "three.checkpoint", cards, tmp_path / "two.onnx", ["two"])
    assert report["styles"] == ["one", "three"]
    photo = torch.rand(1, 3, 40, 48)
    left, whole = read_starting_network(tmp_path / "two.onnx").network, done.network.eval()
    for row, before in enumerate((0, 2)):
        choices = [torch.eye(count)[[index]] for count, index in ((2, row), (3, before))]
        torch.testing.assert_close(left(photo, choices[0]), whole(photo, choices[1]), atol=1e-5, rtol=0)
    with pytest.raises(StyleError, match="choose from one, two, three"):
        export_checkpoint(tmp_path / "three.checkpoint", cards, tmp_path / "x.onnx", ["four"])
    with pytest.raises(StyleError, match="No style would be left"):
        export_checkpoint(tmp_path / "three.checkpoint", cards, tmp_path / "x.onnx", ["one", "two", "three"])
