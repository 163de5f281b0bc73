from dataclasses import replace

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from export.foreign.networks import UnitRangeNetwork
from export.from_onnx import read_starting_network
from export.measure import measure
from export.to_onnx import StyleModel, export_styles, to_onnx, torch_reference, write_styles
from nst_core.base.errors import StyleError
from nst_core.base.training_settings import TrainSettings, TransformerSettings, with_faithful_row
from nst_core.fast.training_checkpoint import TrainingCheckpoint
from nst_core.fast.transformer import TransformerNetwork
from nst_core.style_file import StyleCard
from plugin.engine.machine.paths import bundled_styles_folder

PHOTO = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
CARDS = [StyleCard(f"Number {n}") for n in (1, 2, 3)]


@pytest.fixture
def exported(tmp_path):
    """Exports a network with random scales and shifts; returns the network and the style file."""

    def make(settings, learned=True):
        torch.manual_seed(0)
        network = TransformerNetwork(settings)
        for name, table in network.named_parameters():
            if "norm" in name and learned:
                torch.nn.init.normal_(table, 0.5)
        given = TrainSettings() if settings.rows_per_style == 1 else with_faithful_row(TrainSettings())
        given = replace(given, network=settings)
        done = TrainingCheckpoint(given, 7, network, {}, "slim", ("ab",), 12, 30, "another")
        path = tmp_path / "style.onnx"
        export_styles(done, CARDS[: settings.styles], PHOTO, path)
        return network, path

    return make


@pytest.mark.parametrize(
    "settings",
    [
        TransformerSettings(width=4, residual_blocks=1),
        TransformerSettings(width=5, residual_blocks=2, end_kernel=9, styles=3),
        TransformerSettings(width=4, residual_blocks=0, end_kernel=3, styles=2),
        TransformerSettings(width=4, residual_blocks=1, styles=2, rows_per_style=2),
        TransformerSettings(width=4, residual_blocks=1, rows_per_style=2),
    ],
)
def test_network_is_rebuilt_from_its_style_file(exported, settings):
    network, path = exported(settings)
    base = read_starting_network(path)
    assert base.network.settings == settings and base.steps == 37
    assert base.names == tuple(card.slug for card in CARDS[: settings.styles])
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(base.network.state_dict()[name], tensor, rtol=1e-5, atol=1e-6, msg=name)


def test_equal_tensors_that_the_exporter_merged_are_told_apart(exported):
    """Scales and shifts that have not been learned yet are all equal."""
    network, path = exported(TransformerSettings(width=4, residual_blocks=1, styles=2), learned=False)
    assert len(onnx.load(path).graph.initializer) < len(network.state_dict()) + 19
    assert read_starting_network(path).network.state_dict().keys() == network.state_dict().keys()


@pytest.mark.parametrize("path", sorted(bundled_styles_folder().glob("*.onnx")), ids=lambda path: path.stem)
def test_every_bundled_network_can_be_rebuilt(path):
    base = read_starting_network(path)
    assert base.network.settings == TransformerSettings(rows_per_style=2) and base.names == (path.stem,)


def test_network_that_computes_something_else_is_refused(exported):
    """Its tensors are ours; only its paintings show that the output is clipped at 0.6."""
    _, path = exported(TransformerSettings(width=4, residual_blocks=1))
    model = onnx.load(path)
    (clip,) = (node for node in model.graph.node if node.op_type == "Clip")
    (limit,) = (tensor for tensor in model.graph.initializer if tensor.name == clip.input[2])
    limit.CopyFrom(onnx.numpy_helper.from_array(np.array(0.6, np.float32), limit.name))
    onnx.save(model, path)
    with pytest.raises(StyleError, match="not trained by this program"):
        read_starting_network(path)


def test_imported_network_is_refused(tmp_path):
    network = UnitRangeNetwork(torch.nn.Conv2d(3, 3, 3, padding=1)).eval()
    model, path = to_onnx(network), tmp_path / "imported.onnx"
    style = StyleModel(model, CARDS[:1], measure(model), {"imported_from": "x"}, torch_reference(network))
    write_styles(style, PHOTO, path)
    with pytest.raises(StyleError, match="not trained by this program"):
        read_starting_network(path)
