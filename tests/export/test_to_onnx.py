import io

import numpy as np
import onnx
import onnxruntime
import pytest

torch = pytest.importorskip("torch")
from PIL import Image

from export import to_onnx
from nst_core.base.errors import StyleError
from nst_core.base.training_settings import TrainSettings, TransformerSettings, with_faithful_row
from nst_core.fast.training_checkpoint import TrainingCheckpoint
from nst_core.fast.transformer import TransformerNetwork
from nst_core.style_file import DEFAULT_DETAIL, StyleCard, read_styles

CARD = StyleCard("Test Style No. 1", "Somebody", "1900", "public domain")
PHOTO = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)


@pytest.fixture(scope="module")
def checkpoint() -> TrainingCheckpoint:
    torch.manual_seed(0)
    network = TransformerNetwork(TransformerSettings(width=4, residual_blocks=1))
    return TrainingCheckpoint(TrainSettings(), 7, network, {}, "vgg19", ("ab" * 32,), 12, 0)


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("styles") / "test.onnx"
    return path, to_onnx.export_styles(checkpoint, [CARD], PHOTO, path)


def test_file_computes_what_the_network_does(exported):
    assert 0 <= exported[1] <= to_onnx.TOLERANCE


def test_graph_keeps_the_contract(exported):
    model = onnx.load(exported[0])
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    assert [v.name for v in model.graph.input] == ["image"] and [v.name for v in model.graph.output] == ["styled"]
    n, channels, height, width = model.graph.input[0].type.tensor_type.shape.dim
    assert (n.dim_value, channels.dim_value) == (1, 3) and height.dim_param and width.dim_param
    assert [p.name for p in exported[0].parent.iterdir()] == ["test.onnx"]  # one file, nothing beside it


def test_file_describes_itself(exported):
    (style,) = read_styles(exported[0])
    assert (style.name, style.title, style.artist, style.year) == ("test-style-no-1", CARD.title, "Somebody", "1900")
    assert style.licence == "public domain" and style.minimum_size == 8 and style.bytes_per_pixel == 80
    assert style.trained["steps"] == "7" and style.trained["feature_network"] == "vgg19"
    with Image.open(io.BytesIO(style.thumbnail)) as thumbnail:
        assert thumbnail.format == "JPEG" and thumbnail.size == (120, 90)


def test_file_holds_no_path_of_this_machine(exported):
    content = exported[0].read_bytes()
    assert b"site-packages" not in content and b".py" not in content


def test_export_that_differs_is_refused(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(to_onnx, "TOLERANCE", 0.0)  # no export is exact to the last bit
    with pytest.raises(
        StyleError, match=r"differs from PyTorch.*diverged; repeat it with a --learning-rate below 0\.001"
    ):
        to_onnx.export_styles(checkpoint, [CARD], PHOTO, tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


def test_unwritable_place_is_one_sentence(checkpoint, tmp_path):
    with pytest.raises(StyleError, match="cannot be written"):
        to_onnx.export_styles(checkpoint, [CARD], PHOTO, tmp_path / "no" / "x.onnx")


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """Three styles in one file."""
    torch.manual_seed(0)
    network = TransformerNetwork(TransformerSettings(width=4, residual_blocks=1, styles=3))
    for name, table in network.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(table, 0.5)
    checkpoint = TrainingCheckpoint(
        TrainSettings(network=network.settings), 7, network, {}, "vgg19", ("ab",) * 3, 12, 0
    )
    path = tmp_path_factory.mktemp("styles") / "three.onnx"
    cards = [StyleCard(f"Number {n}") for n in (1, 2, 3)]
    return checkpoint, path, to_onnx.export_styles(checkpoint, cards, PHOTO, path)


def test_file_of_several_styles_lists_them(collection):
    _, path, difference = collection
    assert difference <= to_onnx.TOLERANCE
    styles = read_styles(path)
    assert [(s.name, s.index, s.count) for s in styles] == [(f"number-{n + 1}", n, 3) for n in range(3)]
    assert len({s.thumbnail for s in styles}) == 3
    model = onnx.load(path)
    assert [v.name for v in model.graph.input] == ["image", "style_weights"]


def test_graph_without_style_weights_paints_the_first_style(collection):
    _, path, _ = collection
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).random((1, 3, 40, 56), np.float32)
    first, third = np.eye(3, dtype=np.float32)[[0]], np.eye(3, dtype=np.float32)[[2]]
    (default,) = session.run(None, {"image": image})
    (named,) = session.run(None, {"image": image, "style_weights": first})
    (other,) = session.run(None, {"image": image, "style_weights": third})
    assert np.array_equal(default, named) and np.abs(default - other).max() > 0.01


def test_two_rows_are_mixed_by_the_detail(tmp_path):
    """Without style_weights the graph paints the first style at its default detail."""
    settings = with_faithful_row(TrainSettings(network=TransformerSettings(4, 1, styles=2)))
    torch.manual_seed(1)
    network = TransformerNetwork(settings.network)
    for name, table in network.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(table, 0.5)
    checkpoint = TrainingCheckpoint(settings, 7, network, {}, "vgg19", ("ab",) * 2, 12, 0)
    cards = [StyleCard("One", detail=30.0), StyleCard("Two")]
    assert to_onnx.export_styles(checkpoint, cards, PHOTO, tmp_path / "two.onnx") <= to_onnx.TOLERANCE
    one, two = read_styles(tmp_path / "two.onnx")
    assert (one.rows_per_style, one.default_detail, two.default_detail) == (2, 30.0, DEFAULT_DETAIL)
    assert one.row_weights() == [0.3, 0.7, 0, 0] and two.row_weights(100) == [0, 0, 1, 0]
    image = np.random.default_rng(0).random((1, 3, 40, 56), np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "two.onnx", providers=["CPUExecutionProvider"])
    (default,) = session.run(None, {"image": image})
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(image), torch.tensor([one.row_weights()])).numpy()
    assert np.abs(default - expected).max() <= to_onnx.TOLERANCE
    (other,) = session.run(None, {"image": image, "style_weights": np.array([one.row_weights(90)], np.float32)})
    assert np.abs(default - other).max() > 0.01


def test_cards_must_match_the_styles(collection, tmp_path):
    checkpoint = collection[0]
    for cards, reason in (([CARD] * 2, "3 styles, and 2 were described"), ([CARD] * 3, "same name")):
        with pytest.raises(StyleError, match=reason):
            to_onnx.export_styles(checkpoint, cards, PHOTO, tmp_path / "x.onnx")
