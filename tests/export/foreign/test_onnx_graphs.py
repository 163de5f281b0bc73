"""Import models like those of the ONNX model zoo's fast_neural_style, written node by node: narrow and random."""

import json
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

torch = pytest.importorskip("torch")
from PIL import Image

from export.foreign import onnx_graphs
from export.foreign.import_style import import_style
from nst_core.base.errors import StyleError
from nst_core.style_file import StyleCard, read_styles
from plugin.cli.main import main
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.imaging.picture import Picture
from tests.export.foreign.pytorch_examples import original
from tests.strips import largest_difference, photo

CARD = StyleCard("Zoo")
PHOTO = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
OWN = (40, 56)  # height, width


class SampleGraph:
    """Nodes and weights, numbered one after the other as an old exporter did."""

    def __init__(self, opset: int) -> None:
        self.opset, self.nodes, self.weights = opset, [], []
        self.random = np.random.default_rng(0)

    def node(self, kind, *inputs, **attributes) -> str:
        output = f"{len(self.nodes) + 100}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, value, kind=np.float32) -> str:
        return self.node("Constant", value=numpy_helper.from_array(np.array(value, kind)))

    def weight(self, value) -> str:
        self.weights.append(numpy_helper.from_array(np.array(value, np.float32), f"w{len(self.weights)}"))
        return self.weights[-1].name

    def convolution(self, x, sizes, stride=1, gain=1.0, bias=0.0, pad=True) -> str:
        """``sizes`` are input channels, output channels and kernel size."""
        into, out, kernel = sizes
        if pad:
            around = [0, 0, kernel // 2, kernel // 2] * 2
            x = self.node("Pad", x, mode="reflect", pads=around)
        kernels = self.random.normal(0, gain / (into * kernel**2) ** 0.5, (out, into, kernel, kernel))
        biases = self.random.normal(bias, 0.1, out)
        strides = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2}
        return self.node("Conv", x, self.weight(kernels), self.weight(biases), **strides)

    def norm(self, x, channels) -> str:
        scale, shift = self.random.uniform(0.5, 1.5, channels), self.random.normal(0, 0.1, channels)
        return self.node("InstanceNormalization", x, self.weight(scale), self.weight(shift), epsilon=1e-5)

    def doubled(self, x, computed: bool) -> str:
        """Upsample by two, with the factor in an attribute (opset 8), in a constant, or computed from the shape."""
        if self.opset == 8:
            return self.node("Upsample", x, mode="nearest", scales=[1.0, 1.0, 2.0, 2.0])
        if not computed:
            return self.node("Upsample", x, self.constant([1, 1, 2, 2]), mode="nearest")
        sizes = []
        for axis in (2, 3):
            extent = self.node("Gather", self.node("Shape", x), self.constant(axis, np.int64), axis=0)
            extent = self.node("Mul", self.node("Cast", extent, to=TensorProto.FLOAT), self.constant(2))
            extent = self.node("Cast", self.node("Floor", extent), to=TensorProto.INT64)
            sizes.append(self.node("Unsqueeze", extent, axes=[0]))
        wanted = self.node("Cast", self.node("Concat", *sizes, axis=0), to=TensorProto.FLOAT)
        there = self.node("Slice", self.node("Shape", x), axes=[0], starts=[2], ends=[4])
        factors = self.node("Div", wanted, self.node("Cast", there, to=TensorProto.FLOAT))
        return self.node("Upsample", x, self.node("Concat", self.constant([1, 1]), factors, axis=0), mode="nearest")

    def model(self, output, size, weights_are_inputs) -> onnx.ModelProto:
        self.nodes.append(helper.make_node("Identity", [output], ["output1"]))
        inputs, outputs = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, *size])] for name in ("input1", "output1")
        )
        if weights_are_inputs:  # which IR version 3 wants
            inputs += [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in self.weights]
        graph = helper.make_graph(self.nodes, "torch-jit-export", inputs, outputs, self.weights)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=3 if weights_are_inputs else 4)


def zoo(opset=9, size=OWN, computed=False, weights_are_inputs=True, change=lambda graph, x: x, last=(100.0, 127.0)):
    """Make the same network for every ``size`` and ``opset``; ``change`` adds to it where it is smallest.

    ``last`` is the gain and the bias of the last convolution.
    """
    graph, w = SampleGraph(opset), 4
    x = "input1"
    for into, out, kernel, stride in ((3, w, 9, 1), (w, 2 * w, 3, 2), (2 * w, 4 * w, 3, 2)):
        x = graph.node("Relu", graph.norm(graph.convolution(x, (into, out, kernel), stride), out))
    y = graph.node("Relu", graph.norm(graph.convolution(x, (4 * w, 4 * w, 3)), 4 * w))
    x = graph.node("Add", graph.norm(graph.convolution(y, (4 * w, 4 * w, 3)), 4 * w), x)
    x = change(graph, x)
    for into, out in ((4 * w, 2 * w), (2 * w, w)):
        x = graph.convolution(graph.doubled(x, computed), (into, out, 3))
        x = graph.node("Relu", graph.norm(x, out))
    gain, bias = last
    x = graph.convolution(x, (w, 3, 9), gain=gain, bias=bias)
    return graph.model(x, size, weights_are_inputs)


GRAPH_KINDS = {
    "opset 8": {"opset": 8},
    "opset 9": {},
    "opset 9, computed": {"computed": True},
    "opset 9, weights apart": {"weights_are_inputs": False},
    "opset 9, any size": {"computed": True, "size": ("h", "w")},
}


def run(model, image):
    """Run an original model on [1, 3, H, W] in 0..1, and return its answer on that scale."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image * 255})[0] / 255


@pytest.fixture(scope="module", params=GRAPH_KINDS)
def imported(request, tmp_path_factory):
    """The style file of a model, the result of the import, and the model's settings."""
    folder, settings = tmp_path_factory.mktemp("imported"), GRAPH_KINDS[request.param]
    onnx.save(zoo(**settings), folder / "source")
    return folder / "style.onnx", import_style(folder / "source", CARD, PHOTO, folder / "style.onnx"), settings


@pytest.mark.parametrize("size", [OWN, (64, 48), (31, 45), (22, 37)])
def test_style_computes_what_the_model_would_at_every_size(imported, size):
    path, done, settings = imported
    image = np.random.default_rng(0).random((1, 3, *size), np.float32)
    # In a model of this size, halves are rounded up, so its answer may be larger than it says.
    rounded = [-(-extent // 4) * 4 for extent in size]
    model = zoo(**{**settings, "size": size})
    del model.graph.output[0].type.tensor_type.shape.dim[2:]
    model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = rounded[0]
    model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = rounded[1]
    expected = np.clip(run(model, image), 0, 1)
    assert expected.shape[2:] == tuple(rounded) and expected.std() > 0.1
    (styled,) = ort.InferenceSession(path).run(["styled"], {"image": image})
    np.testing.assert_allclose(styled, expected[..., : size[0], : size[1]], rtol=0, atol=1e-4)
    assert 0 <= done.difference <= 1e-4


def test_graph_keeps_the_contract(imported):
    model = onnx.load(imported[0])
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    assert [v.name for v in model.graph.input] == ["image"] and [v.name for v in model.graph.output] == ["styled"]
    n, channels, height, width = model.graph.input[0].type.tensor_type.shape.dim
    assert (n.dim_value, channels.dim_value) == (1, 3) and height.dim_param and width.dim_param


def test_style_describes_itself(imported):
    path, done, settings = imported
    (style,) = read_styles(path)
    assert (style.name, style.multiple_of, style.minimum_size) == ("zoo", 1, 5)
    assert style.trained["imported_from"] == "source" and style.trained["layout"] == done.layout
    assert done.layout == f"ONNX, opset {settings.get('opset', 9)}, {'any size' if 'size' in settings else '56x40'}"


def test_style_paints_pictures_of_any_size(imported):
    for size in ((37, 51), (2, 3)):
        pixels = np.random.default_rng(1).random((*size, 4), np.float32)
        painted = paint_fast(Picture(pixels), dict.fromkeys(read_styles(imported[0]), 1.0)).pixels
        assert painted.shape == pixels.shape and (painted[..., :3] != pixels[..., :3]).any()


@pytest.mark.parametrize("size", [(37, 52), (24, 90), (61, 33)])
def test_style_paints_in_strips_as_whole(imported, samples, monkeypatch, size):
    styles = dict.fromkeys(read_styles(imported[0]), 1.0)
    assert largest_difference(monkeypatch, styles, photo(samples, *size), 200) < 0.6


@pytest.fixture(scope="module")
def crop(samples):
    """A part of a photo, [1, 3, 96, 128] in 0..255."""
    with Image.open(samples / "chelsea.jpg") as image:
        return np.array(image.convert("RGB").crop((130, 80, 258, 176)), np.float32).transpose(2, 0, 1)[None]


# Version 8 is tested above; PyTorch no longer writes it.
EXPORTS = [
    pytest.param(opset, modern, free, marks=[] if opset in (9, 20) else pytest.mark.slow)
    for modern, opsets in ((False, range(9, 21)), (True, range(18, 22)))
    for opset in opsets
    for free in (False, True)
]


@pytest.mark.parametrize(("opset", "modern", "free"), EXPORTS)
def test_export_of_pytorch_paints_as_pytorch_does(tmp_path, crop, opset, modern, free):
    """By the exporter that PyTorch had until version 2.8 and by the one since, of one size or of any."""
    picture = torch.from_numpy(crop)
    network = original("instance norm", picture)
    sizes = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC} if modern else {2: "height", 3: "width"}
    keywords = {"dynamic_shapes": ({**sizes},)} if modern else {"dynamic_axes": {"in": sizes, "out": sizes}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (picture[..., :64, :64],),
            tmp_path / "x.onnx",
            input_names=["in"],
            output_names=["out"],
            opset_version=opset,
            dynamo=modern,
            external_data=False,
            **(keywords if free else {}),
        )
    done = import_style(tmp_path / "x.onnx", CARD, PHOTO, tmp_path / "style.onnx")
    assert done.layout == f"ONNX, opset {opset}, {'any size' if free else '64x64'}"
    with torch.no_grad():
        expected = (network(picture) / 255).clamp(0, 1).numpy()
    (styled,) = ort.InferenceSession(tmp_path / "style.onnx").run(["styled"], {"image": crop / 255})
    np.testing.assert_allclose(styled, expected, rtol=0, atol=1e-3)


def test_negative_sizes_are_free(tmp_path):
    model = zoo(computed=True, size=(-1, -1))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    onnx.save(model, tmp_path / "x")
    assert import_style(tmp_path / "x", CARD, PHOTO, tmp_path / "style.onnx").layout == "ONNX, opset 9, any size"


def test_network_for_a_huge_picture_is_tried_at_smaller_ones(tmp_path, monkeypatch):
    """At its own size, one feature map would take 8 GB."""
    pixels = []
    runner = onnx_graphs._runner

    def noted(session, name):
        run = runner(session, name)
        return lambda image: pixels.append(image.shape[2] * image.shape[3]) or run(image)

    monkeypatch.setattr(onnx_graphs, "_runner", noted)
    onnx.save(zoo(computed=True, size=(2**15, 2**14)), tmp_path / "x")
    done = import_style(tmp_path / "x", CARD, PHOTO, tmp_path / "style.onnx")
    assert done.layout == "ONNX, opset 9, 16384x32768" and max(pixels) < 10**6


def test_network_that_rounds_halves_down_needs_even_sizes(tmp_path):
    graph = SampleGraph(9)
    half = graph.norm(graph.convolution("input1", (3, 4, 2), stride=2, pad=False), 4)
    whole = graph.convolution(graph.doubled(half, computed=False), (4, 3, 3), gain=100.0, bias=127.0)
    onnx.save(graph.model(whole, (40, 40), True), tmp_path / "x")
    import_style(tmp_path / "x", CARD, PHOTO, tmp_path / "style.onnx")
    (style,) = read_styles(tmp_path / "style.onnx")
    assert (style.multiple_of, style.minimum_size) == (2, 2)
    pixels = np.random.default_rng(1).random((37, 51, 4), np.float32)
    assert paint_fast(Picture(pixels), {style: 1.0}).pixels.shape == pixels.shape


def test_import_and_apply_commands(tmp_path, samples, capsys):
    source, style, painted = tmp_path / "zoo.bin", tmp_path / "mine.onnx", tmp_path / "painted.png"
    onnx.save(zoo(opset=8), source)
    assert main(["import", str(source), "-o", str(style), "--artist", "Somebody", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["output"], report["styles"], report["layout"]) == (str(style), ["mine"], "ONNX, opset 8, 56x40")
    assert report["difference"] <= 1e-4 and read_styles(style)[0].artist == "Somebody"
    assert main(["apply", str(samples / "chelsea.jpg"), "--style", str(style), "-o", str(painted)]) == 0
    with Image.open(painted) as image:
        assert image.size == (451, 300) and np.array(image).std() > 20


def test_unusable_file_is_exit_code_2_and_one_line(tmp_path, capsys):
    (tmp_path / "text").write_text("no network")
    assert main(["import", str(tmp_path / "text"), "-o", str(tmp_path / "mine.onnx")]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("neural-style: ") and said.err.count("\n") == 1


# ---- models that are refused -------------------------------------------------------------------------------------


def reshaped(graph, x):
    return graph.node("Reshape", x, graph.constant([1, 16, OWN[0] // 4, OWN[1] // 4], np.int64))


def edited(edit, **settings):
    model = zoo(**settings)
    edit(model)
    return model


def add_input(model):
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))


def last_channels(model):
    for value in (model.graph.input[0], model.graph.output[0]):
        value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, [1, *OWN, 3]))


def other_domain(model):
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def apart(model):
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


def apart_in_a_node(model):
    tensor = TensorProto(name="x", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    model.graph.node.append(helper.make_node("Constant", [], ["x"], value=tensor))


def unknown_operator(model):
    model.graph.node[1].op_type = "Stylise"


def doubling():
    """Make a network that doubles the size of a picture."""
    graph = SampleGraph(9)
    twice = graph.doubled(graph.convolution("input1", (3, 4, 3)), computed=False)
    return graph.model(graph.convolution(twice, (4, 3, 3), gain=100.0, bias=127.0), (None, None), False)


def cropping():
    """Make a network that answers with at most 64x100 pixels; the picture tried first is smaller."""
    graph = SampleGraph(9)
    x = graph.convolution("input1", (3, 3, 3), gain=100.0, bias=127.0)
    return graph.model(graph.node("Slice", x, axes=[2, 3], starts=[0, 0], ends=[64, 100]), (64, 100), False)


BAD = {
    "a size in a constant": (lambda: zoo(change=reshaped), "made for 56x40,"),
    "a crop to its size": (cropping, "made for 100x64,"),
    "a picture twice as large": (doubling, "every size"),
    "0..1": (lambda: zoo(last=(0.2, 0.5)), "0..255 on both sides"),
    "two inputs": (lambda: edited(add_input), "2 inputs"),
    "channels last": (lambda: edited(last_channels, size=(None, None)), r"\[1, 40, 56, 3\]"),
    "operators of others": (lambda: edited(other_domain), "com.example"),
    "weights in another file": (lambda: edited(apart), "second file"),
    "a constant in another file": (lambda: edited(apart_in_a_node), "second file"),
    "an unknown operator": (lambda: edited(unknown_operator), "Stylise"),
}


@pytest.mark.parametrize("case", BAD)
def test_unsupported_model_is_one_sentence(tmp_path, capfd, case):
    make, reason = BAD[case]
    (tmp_path / "source").write_bytes(make().SerializeToString())
    with pytest.raises(StyleError, match=reason) as caught:
        import_style(tmp_path / "source", CARD, PHOTO, tmp_path / "style.onnx")
    assert "\n" not in str(caught.value) and [p.name for p in tmp_path.iterdir()] == ["source"]
    assert capfd.readouterr() == ("", "")


def test_many_small_messages_are_not_built(tmp_path):
    """They would take fifty times the memory of the file."""
    model = zoo()
    model.graph.value_info.extend([onnx.ValueInfoProto()] * 200_001)
    (tmp_path / "source").write_bytes(model.SerializeToString())
    with pytest.raises(StyleError, match="no style that can be imported"):
        import_style(tmp_path / "source", CARD, PHOTO, tmp_path / "style.onnx")


def test_truncated_model_is_one_sentence(tmp_path):
    (tmp_path / "source").write_bytes(zoo().SerializeToString()[:-500])
    with pytest.raises(StyleError, match="no style that can be imported"):
        import_style(tmp_path / "source", CARD, PHOTO, tmp_path / "style.onnx")


def test_style_file_is_not_imported_again(tmp_path):
    onnx.save(zoo(), tmp_path / "source")
    import_style(tmp_path / "source", CARD, PHOTO, tmp_path / "style.onnx")
    with pytest.raises(StyleError, match="already"):
        import_style(tmp_path / "style.onnx", CARD, PHOTO, tmp_path / "again.onnx")


def test_style_that_differs_from_its_model_is_refused(tmp_path, monkeypatch):
    onnx.save(zoo(), tmp_path / "source")
    to_contract = onnx_graphs._to_contract

    def wrong(network, name, opset):
        model = to_contract(network, name, opset)
        (white,) = (tensor for tensor in model.graph.initializer if tensor.name == "white")
        white.CopyFrom(numpy_helper.from_array(np.array(250, np.float32), "white"))
        return model

    monkeypatch.setattr(onnx_graphs, "_to_contract", wrong)
    with pytest.raises(StyleError, match="differs from the original"):
        import_style(tmp_path / "source", CARD, PHOTO, tmp_path / "style.onnx")
    assert not (tmp_path / "style.onnx").exists()
