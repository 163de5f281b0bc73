import struct
import sys
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file

from nst_core.base.errors import StyleError
from nst_core.base.training_settings import DistillSettings
from nst_core.distill.student import CONV_LAYERS, new_student, save_compact
from nst_core.features import catalogue as weights
from nst_core.features import weight_files
from nst_core.features.layers import CONVOLUTIONS_PER_BLOCK
from nst_core.features.network import CAFFE, MATCONVNET, TORCHVISION
from nst_core.features.vgg import build_vgg

NAMES = {
    kind: [f"conv{block}_{n}" for block, count in enumerate(blocks, 1) for n in range(1, count + 1)]
    for kind, blocks in CONVOLUTIONS_PER_BLOCK.items()
}
# Written out, so no code is checked against itself.
TORCHVISION_INDICES = {
    "vgg19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
}
VGG19_CORNER, VGG16_CORNER = (0.34119523, 0.46418372, 0.39416704), (0.42947057, 0.55037946, 0.48001540)


def tensors(kind="vgg19", count=9, corner=VGG19_CORNER) -> dict:
    """Random weights of a VGG for BGR 0..255 by Oxford's names, as if Oxford's own: up to conv4_1 or so."""
    generator, state, into = torch.Generator().manual_seed(3), {}, 3
    for name in NAMES[kind][:count]:
        out = 64 * 2 ** min(int(name[4]) - 1, 3)
        state[f"{name}.weight"] = torch.randn(out, into, 3, 3, generator=generator) * (2 / (9 * into)) ** 0.5
        state[f"{name}.bias"] = torch.randn(out, generator=generator) * 0.1
        into = out
    state["conv1_1.weight"][0, :, 0, 0] = torch.tensor(corner)
    return state


def torchvision_keys(state: dict, kind: str) -> dict:
    index = dict(zip(NAMES[kind], TORCHVISION_INDICES[kind], strict=True))
    return {f"features.{index[name]}.{part}": state[f"{name}.{part}"] for name, part in split(state)}


def split(state: dict) -> list:
    return [tuple(key.split(".")) for key in state]


def layers(state: dict, rgb: bool = False) -> list:
    """Names, kernels [height, width, in, out] and biases, as Keras and MatConvNet have them."""
    kernels = []
    for name in dict.fromkeys(name for name, _ in split(state)):
        kernel = state[f"{name}.weight"].permute(2, 3, 1, 0).numpy()
        if rgb and name == "conv1_1":
            kernel = kernel[:, :, ::-1]
        kernels.append((name, np.ascontiguousarray(kernel), state[f"{name}.bias"].numpy()))
    return kernels


def save_safetensors(state, path, kind):
    save_file(torchvision_keys(state, kind), path)


def save_pth(state, path, kind):
    classifier = {"classifier.0.weight": torch.zeros(8, 4), "classifier.0.bias": torch.zeros(8)}
    torch.save(torchvision_keys(state, kind) | classifier, path)


def save_nested_pth(state, path, kind):
    torch.save({"epoch": 3, "state_dict": torchvision_keys(state, kind)}, path)


def save_pth_of_gatys(state, path, kind):
    torch.save(state, path, _use_new_zipfile_serialization=False)  # as in 2017


def save_keras_1(state, path, kind):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, kernel, bias in layers(state):
            layer = f"block{name[4]}_conv{name[6]}"
            file[f"{layer}/{layer}_W_1:0"], file[f"{layer}/{layer}_b_1:0"] = kernel, bias
        file["predictions/predictions_W_1:0"] = np.zeros((4, 8), np.float32)


def save_keras_2(state, path, kind):
    """Save a whole model, with its optimiser."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, kernel, bias in layers(state):
            layer = f"block{name[4]}_conv{name[6]}"
            for root in ("model_weights", "optimizer_weights/Adam/m"):
                sign = 1 if root == "model_weights" else -1
                file[f"{root}/{layer}/{layer}/kernel:0"], file[f"{root}/{layer}/{layer}/bias:0"] = kernel * sign, bias


def save_keras_3(state, path, kind):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for number, (name, kernel, bias) in enumerate(layers(state)):
            group = file.create_group(f"layers/conv2d_{number}/vars" if number else "layers/conv2d/vars")
            group.attrs["name"] = f"block{name[4]}_conv{name[6]}"
            group["0"], group["1"] = kernel, bias


def cells(values) -> np.ndarray:
    """Make a MATLAB cell array."""
    array = np.empty((1, len(values)), object)
    array[0, :] = values
    return array


def save_matconvnet(state, path, kind, wrap=lambda layers: {"layers": layers}, older=False):
    savemat = pytest.importorskip("scipy.io").savemat
    records = []
    for name, kernel, bias in layers(state, rgb=True):
        values = {"filters": kernel, "biases": bias} if older else {"weights": cells([kernel, bias])}
        records += [values | {"name": name, "type": "conv"}, {"name": name.replace("conv", "relu"), "type": "relu"}]
    records.append({"name": "fc6", "type": "conv", "weights": cells([np.zeros((7, 7, 4, 8), np.float32), np.zeros(8)])})
    savemat(path, wrap(cells(records)))


def save_older_matconvnet(state, path, kind):
    save_matconvnet(state, path, kind, older=True)


def save_matconvnet_net(state, path, kind):
    save_matconvnet(state, path, kind, lambda layers: {"net": {"layers": layers, "meta": {"inputs": 224.0}}})


WRITERS = [
    save_safetensors,
    save_pth,
    save_nested_pth,
    save_pth_of_gatys,
    save_keras_1,
    save_keras_2,
    save_keras_3,
    save_matconvnet,
    save_older_matconvnet,
    save_matconvnet_net,
]
every_format = pytest.mark.parametrize("save", WRITERS, ids=lambda save: save.__name__[5:])
one_of_each = pytest.mark.parametrize(
    "save", [save_safetensors, save_pth, save_pth_of_gatys, save_keras_1, save_matconvnet], ids=lambda s: s.__name__[5:]
)


def picture() -> "torch.Tensor":
    return torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))


def assert_same(actual, expected):
    """To float32's precision: the channels of RGB and BGR are added up in another order."""
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5 * expected.max().item())


@every_format
def test_the_same_weights_give_the_same_features_from_every_format(tmp_path, save):
    state = tensors(count=9)
    expected = build_vgg("x", torchvision_keys(state, "vgg19"), "vgg19", CAFFE)(picture(), ["relu4_1"])
    save(state, tmp_path / "weights.bin", "vgg19")
    network = weights.load_features(str(tmp_path / "weights.bin"))
    assert network.name == "weights" and network.layers[-1] == "relu4_1"
    assert_same(network(picture(), ["relu4_1"])["relu4_1"], expected["relu4_1"])


@every_format
def test_the_true_weights_give_the_same_features_from_every_format(assets, tmp_path, save):
    source = assets / "weights/vgg19_conv1_1-conv3_4_caffe.safetensors"
    state = weight_files.read(source).state
    named = {
        f"{name}.{part}": state[f"features.{index}.{part}"]
        for name, index in zip(NAMES["vgg19"][:8], TORCHVISION_INDICES["vgg19"], strict=False)
        for part in ("weight", "bias")
    }
    save(named, tmp_path / "true", "vgg19")
    networks = (weights.load_features(str(path)) for path in (tmp_path / "true", source))
    assert_same(*(network(picture(), ["relu3_4"])["relu3_4"] for network in networks))


@every_format
def test_vgg16_and_vgg19_are_distinguished(tmp_path, save):
    for kind, count, last in (("vgg19", 9, "conv4_1"), ("vgg19", 8, "conv3_4"), ("vgg16", 8, "conv4_1")):
        save(tensors(kind, count), tmp_path / "x", kind)
        assert [*weights.load_features(str(tmp_path / "x")).convolutions][-1] == last


@every_format
def test_file_may_hold_only_the_first_layers(tmp_path, save):
    save(tensors(count=1), tmp_path / "x", "vgg19")
    assert weights.load_features(str(tmp_path / "x")).layers == ["conv1_1", "relu1_1"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("corner", [VGG19_CORNER, VGG16_CORNER])
def test_oxford_weights_are_recognised_by_their_first_filter(tmp_path, dtype, corner):
    """In any precision, scaled or not, and in either order of the channels."""
    state = {key: value.to(dtype) for key, value in tensors(count=1, corner=corner).items()}
    state["conv1_1.weight"][0] *= 0.37
    for turned, form in ((False, CAFFE), (True, MATCONVNET)):
        if turned:
            state["conv1_1.weight"] = state["conv1_1.weight"].flip(1)
        save_file(torchvision_keys(state, "vgg19"), tmp_path / "x", {"preprocessing": "RGB 0..1"})
        network = weights.load_features(str(tmp_path / "x"))
        assert network.preprocessing == form
        assert network.convolutions["conv1_1"].weight.dtype == torch.float32


def test_reversed_channels_expect_rgb():
    """A red picture: the two forms of one network see the same."""
    state, red = torchvision_keys(tensors(count=1), "vgg19"), torch.tensor([0.9, 0.1, 0.2]).view(1, 3, 1, 1)
    caffe = build_vgg("x", state, "vgg19", CAFFE)(red, ["conv1_1"])
    state["features.0.weight"] = state["features.0.weight"].flip(1)
    torch.testing.assert_close(build_vgg("x", state, "vgg19", MATCONVNET)(red, ["conv1_1"]), caffe)


def test_other_weights_get_the_preprocessing_of_their_file_or_format(tmp_path):
    state = tensors(count=1, corner=(0.1, -0.2, 0.3))
    path = tmp_path / "x"
    for save, form in (
        (save_safetensors, TORCHVISION),
        (save_pth, TORCHVISION),
        (save_pth_of_gatys, CAFFE),
        (save_keras_1, CAFFE),
        (save_matconvnet, MATCONVNET),
    ):
        save(state, path, "vgg19")
        assert weights.load_features(str(path)).preprocessing == form
    for text, form in (
        ("BGR, 0..255, minus the mean", CAFFE),
        ("RGB, 0..255, minus the mean", MATCONVNET),
        ("RGB 0..1, normalised", TORCHVISION),
    ):
        save_file(state, path, {"preprocessing": text})
        assert weights.load_features(str(path)).preprocessing == form


def test_true_oxford_weights_are_recognised(assets):
    """Oxford's are; the same filters with another preprocessing folded in, much alike, are not."""
    for name, form in (("caffe", CAFFE), ("rgbnorm", None)):
        state = weight_files.read(assets / f"weights/vgg19_conv1_1-conv3_4_{name}.safetensors").state
        assert weight_files.oxford_preprocessing(state["features.0.weight"]) == form


@one_of_each
@pytest.mark.parametrize("kept", [0, 4, 40, 0.3, 0.9, -1])
def test_truncated_file_is_refused(tmp_path, save, kept):
    save(tensors(count=2), tmp_path / "whole", "vgg19")
    whole = (tmp_path / "whole").read_bytes()
    cut = tmp_path / "cut.bin"
    cut.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(StyleError, match=r"cut\.bin cannot be read") as error:
        weights.load_features(str(cut))
    assert one_sentence(error)


def one_sentence(error) -> bool:
    return "\n" not in str(error.value) and str(error.value).endswith(".") and len(str(error.value)) < 400


@one_of_each
def test_integers_nan_and_infinity_are_refused(tmp_path, save):
    path, state = tmp_path / "x.bin", tensors(count=2)
    for bad, message in (
        (torch.ones(64, dtype=torch.int32), "of type int32, but weights are floats"),
        (torch.full((64,), torch.nan), "infinite or NaN"),
        (torch.full((64,), torch.inf), "infinite or NaN"),
    ):
        save(state | {"conv1_2.bias": bad}, path, "vgg19")
        with pytest.raises(StyleError, match=message) as error:
            weights.load_features(str(path))
        assert "x.bin" in str(error.value) and one_sentence(error)


@one_of_each
def test_other_shapes_are_refused_as_another_network(tmp_path, save):
    state = tensors(count=3)
    for change in (
        {"conv1_1.weight": torch.zeros(64, 1, 3, 3)},
        {"conv1_1.weight": torch.zeros(64, 3, 5, 5)},
        {"conv1_2.bias": torch.zeros(63)},
        {"conv2_1.weight": torch.zeros(96, 64, 3, 3), "conv2_1.bias": torch.zeros(96)},
    ):
        save(state | change, tmp_path / "x", "vgg19")
        with pytest.raises(StyleError, match="another network") as error:
            weights.load_features(str(tmp_path / "x"))
        assert one_sentence(error)


@one_of_each
def test_gap_between_layers_is_refused(tmp_path, save):
    state = {key: value for key, value in tensors(count=4).items() if not key.startswith("conv1_2")}
    save(state, tmp_path / "x", "vgg19")
    with pytest.raises(StyleError, match="without a gap"):
        weights.load_features(str(tmp_path / "x"))


@pytest.mark.parametrize("name", ["vgg11", "vgg13", "vgg16_bn", "alexnet", "resnet18", "squeezenet1_1"])
def test_torchvisions_other_networks_are_refused(tmp_path, name):
    models = pytest.importorskip("torchvision").models
    with torch.device("meta"):
        state = getattr(models, name)(weights=None).state_dict()
    # Of one filter each, as nobody gets as far as their shapes.
    state = {key: torch.zeros([1] * value.ndim) for key, value in state.items()}
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(StyleError, match="another network"):
        weights.load_features(str(tmp_path / "x.pth"))


@one_of_each
def test_a_file_without_convolutions_is_refused(tmp_path, save):
    path = tmp_path / "x"
    if save in (save_safetensors, save_pth, save_pth_of_gatys):
        {save_safetensors: save_file}.get(save, torch.save)({"layer.weight": torch.zeros(10)}, path)
    elif save is save_keras_1:
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["dense/kernel:0"] = np.zeros((3, 3))
    else:
        pytest.importorskip("scipy.io").savemat(path, {"other": np.zeros(3)}, appendmat=False)
    with pytest.raises(StyleError, match="holds no VGG weights") as error:
        weights.load_features(str(path))
    assert one_sentence(error)


def test_error_for_a_matlab_7_3_file_says_how_to_save_it(tmp_path):
    (tmp_path / "x.mat").write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(StyleError, match="-v7"):
        weights.load_features(str(tmp_path / "x.mat"))


class Evil:
    """A pickle of it would open a file for writing."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_not_run(tmp_path, zipped):
    torch.save(
        tensors(count=1) | {"extra": Evil(tmp_path / "owned")},
        tmp_path / "x.pth",
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(StyleError, match="holds more than numbers") as error:
        weights.load_features(str(tmp_path / "x.pth"))
    assert one_sentence(error) and not (tmp_path / "owned").exists()


def test_file_with_only_a_format_s_first_bytes_is_refused(tmp_path):
    path = tmp_path / "x"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "no tensors")
    archive_bytes = path.read_bytes()
    for content in (archive_bytes, struct.pack("<Q", 2) + b"{}", b"\x80\x02}.", b"MATLAB 5.0 MAT-file".ljust(200)):
        path.write_bytes(content)
        with pytest.raises(StyleError) as error:
            weights.load_features(str(path))
        assert one_sentence(error)


def test_missing_reader_is_an_error_in_one_sentence(tmp_path, monkeypatch):
    save_keras_1(tensors(count=1), tmp_path / "x", "vgg19")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(StyleError, match=r"h5py, which reads it, is not installed; run `python3 install.py torch`"):
        weights.load_features(str(tmp_path / "x"))


def test_compact_layout_is_recognised(tmp_path):
    settings = DistillSettings(channels=(4, 6, 8, 8, 10))
    save_compact(new_student(settings, dict.fromkeys(CONV_LAYERS, 12)), tmp_path / "own", {})
    state = load_file(tmp_path / "own")
    for save, name in ((save_file, "x.safetensors"), (torch.save, "x.pth")):
        save(state, tmp_path / name)
        network = weights.load_features(str(tmp_path / name))
        features = network(picture(), ["relu1_1", "relu5_1"])
        assert features["relu5_1"].shape == (1, 12, 1, 2) and features["relu5_1"].dtype == torch.float32
    del state["head_relu3_1.weight"]
    save_file(state, tmp_path / "y.safetensors")
    with pytest.raises(StyleError, match="not a complete compact network"):
        weights.load_features(str(tmp_path / "y.safetensors"))


def test_slim_network_loads_from_pytorch_file_too(tmp_path, slim_weights):
    state = weight_files.read(slim_weights).state
    torch.save({"state_dict": state}, tmp_path / "x.pth")
    features, expected = (
        weights.load_features(str(path))(picture(), ["relu3_1"]) for path in (tmp_path / "x.pth", slim_weights)
    )
    torch.testing.assert_close(features, expected)
