"""Import networks of other programs, written here in their own layouts: narrow and random, but complete."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F
from PIL import Image

from export import to_onnx
from export.foreign.import_style import import_style, read_network
from nst_core.base.errors import StyleError
from nst_core.base.training_settings import TransformerSettings
from nst_core.style_file import PREFIX, StyleCard, read_styles
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.imaging.picture import Picture
from tests.export.foreign.pytorch_examples import NORMS, original
from tests.strips import largest_difference, photo

CARD = StyleCard("Elsewhere", "Somebody", "1900", "public domain")
PHOTO = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
WIDTH, BLOCKS = 4, 2


def pytorch_state(transposed=False) -> dict:
    """Return the tensors of fast_neural_style. The last ones make the output fill 0..255 and more."""
    generator, state, w = torch.Generator().manual_seed(0), {}, WIDTH

    def convolution(name, sizes, turned=False, gain=1.0, bias=0.1):
        """``sizes`` are input channels, output channels and kernel size."""
        into, out, kernel = sizes
        shape = (into, out, kernel, kernel) if turned else (out, into, kernel, kernel)
        state[f"{name}.conv2d.weight"] = torch.randn(shape, generator=generator) * gain / (into * kernel**2) ** 0.5
        state[f"{name}.conv2d.bias"] = bias + torch.randn(out, generator=generator) * 0.1

    def norm(name, channels):
        state[f"{name}.weight"] = torch.rand(channels, generator=generator) + 0.5
        state[f"{name}.bias"] = torch.randn(channels, generator=generator) * 0.1

    for number, (into, out, kernel) in enumerate([(3, w, 9), (w, 2 * w, 3), (2 * w, 4 * w, 3)], 1):
        convolution(f"conv{number}", (into, out, kernel))
        norm(f"in{number}", out)
    for block in range(1, BLOCKS + 1):
        for number in (1, 2):
            convolution(f"res{block}.conv{number}", (4 * w, 4 * w, 3))
            norm(f"res{block}.in{number}", 4 * w)
    for number, (into, out) in enumerate([(4 * w, 2 * w), (2 * w, w)], 1):
        convolution(f"deconv{number}", (into, out, 3), turned=transposed)
        norm(f"in{number + 3}", out)
    convolution("deconv3", (w, 3, 9), gain=100.0, bias=127.0)
    return state


def pytorch_answer(state, image):
    """Return what fast_neural_style computes from [1, 3, H, W] in 0..255, written without modules."""

    def convolution(name, x, stride=1):
        weight = state[f"{name}.conv2d.weight"]
        padded = F.pad(x, (weight.shape[-1] // 2,) * 4, mode="reflect")
        return F.conv2d(padded, weight, state[f"{name}.conv2d.bias"], stride)

    def norm(name, x):
        mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)
        scale, shift = (state[f"{name}.{part}"][:, None, None] for part in ("weight", "bias"))
        return (x - mean) / (variance + 1e-5).sqrt() * scale + shift

    def doubled(name, x):
        weight = state[f"{name}.conv2d.weight"]
        if weight.shape[0] == x.shape[1]:
            return F.conv_transpose2d(x, weight, state[f"{name}.conv2d.bias"], 2, padding=1, output_padding=1)
        return convolution(name, x.repeat_interleave(2, 2).repeat_interleave(2, 3))

    x = image
    for number, stride in ((1, 1), (2, 2), (3, 2)):
        x = norm(f"in{number}", convolution(f"conv{number}", x, stride)).relu()
    for block in range(1, BLOCKS + 1):
        y = norm(f"res{block}.in1", convolution(f"res{block}.conv1", x)).relu()
        x = x + norm(f"res{block}.in2", convolution(f"res{block}.conv2", y))
    x = norm("in4", doubled("deconv1", x)).relu()
    x = norm("in5", doubled("deconv2", x)).relu()
    return convolution("deconv3", x)


def tensorflow_variables(width=WIDTH, blocks=BLOCKS) -> list:
    """Return the variables of fast-style-transfer in the order of their creation."""
    random, variables, w = np.random.default_rng(0), [], width
    shapes = [(9, 3, w), (3, w, 2 * w), (3, 2 * w, 4 * w), *[(3, 4 * w, 4 * w)] * (2 * blocks)]
    # Kernels of transposed convolutions have the output channels before the input channels.
    for kernel, first, second in [*shapes, (3, 2 * w, 4 * w), (3, w, 2 * w), (9, w, 3)]:
        out = first if len(variables) // 3 in (len(shapes), len(shapes) + 1) else second
        variables.append(random.normal(0, 0.1, (kernel, kernel, first, second)))
        variables += [random.normal(0, 0.3, out), random.uniform(0.5, 1.5, out)]
    return [variable.astype(np.float32) for variable in variables]


def same_padding(extent, kernel, stride):
    """Return TensorFlow's padding: the zeros that ceil(extent / stride) places need, an odd one after."""
    needed = max((-(-extent // stride) - 1) * stride + kernel - extent, 0)
    return needed // 2, needed - needed // 2


def tensorflow_convolution(x, kernel, stride):
    """Compute conv2d, padding "SAME": [h, w, in] and [k, k, in, out] to [ceil(h / stride), ceil(w / stride), out]."""
    k = len(kernel)
    padded = np.pad(x, [*(same_padding(extent, k, stride) for extent in x.shape[:2]), (0, 0)])
    height, width = (-(-extent // stride) for extent in x.shape[:2])
    return np.array(
        [
            [
                np.tensordot(padded[stride * i : stride * i + k, stride * j : stride * j + k], kernel, 3)
                for j in range(width)
            ]
            for i in range(height)
        ]
    )


def tensorflow_transposed_convolution(x, kernel):
    """Compute conv2d_transpose with stride 2 and padding "SAME": [h, w, in] and [k, k, out, in] to [2h, 2w, out]."""
    k = len(kernel)
    height, width = (2 * extent for extent in x.shape[:2])
    (top, bottom), (left, right) = same_padding(height, k, 2), same_padding(width, k, 2)
    padded = np.zeros((height + top + bottom, width + left + right, kernel.shape[2]))
    for i in range(len(x)):
        for j in range(x.shape[1]):
            padded[2 * i : 2 * i + k, 2 * j : 2 * j + k] += kernel @ x[i, j]
    return padded[top : top + height, left : left + width]


def tensorflow_answer(variables, image):
    """Return what fast-style-transfer computes from [H, W, 3] in 0..255, in NumPy and float64."""
    layers = [[v.astype(np.float64) for v in variables[start : start + 3]] for start in range(0, len(variables), 3)]

    def norm(x, shift, scale):
        return (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-3) * scale + shift

    def layer(x, number, stride=1):
        kernel, shift, scale = layers[number]
        return norm(tensorflow_convolution(x, kernel, stride), shift, scale)

    x = image
    for number, stride in enumerate((1, 2, 2)):
        x = np.maximum(layer(x, number, stride), 0)
    for number in range(3, len(layers) - 3, 2):
        x = x + layer(np.maximum(layer(x, number), 0), number + 1)
    for kernel, shift, scale in layers[-3:-1]:
        x = np.maximum(norm(tensorflow_transposed_convolution(x, kernel), shift, scale), 0)
    return np.tanh(layer(x, len(layers) - 1)) * 150 + 255 / 2


def picture(height, width):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height * width)) * 255


def answer(network, image):
    with torch.no_grad():
        return network(image)


# ---- the networks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("size", [(16, 16), (21, 38)])
def test_pytorch_network_equals_the_written_out_one(tmp_path, transposed, size):
    state = pytorch_state(transposed)
    torch.save(state, tmp_path / "x.pth")
    network, image = read_network(tmp_path / "x.pth"), picture(*size)
    assert ("transposed" in network.layout) == transposed
    torch.testing.assert_close(answer(network, image), pytorch_answer(state, image), rtol=0, atol=1e-3)


# Even, odd, and odd after the first or the second halving.
@pytest.mark.parametrize("size", [(8, 8), (9, 8), (10, 11), (7, 13), (14, 5)])
def test_tensorflow_network_pads_as_tensorflow_does(tmp_path, size):
    variables = tensorflow_variables(width=2, blocks=1)
    np.savez(tmp_path / "x.npz", *variables)
    image = picture(*size)
    painting = answer(read_network(tmp_path / "x.npz"), image)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(
        painting, tensorflow_answer(variables, image[0].permute(1, 2, 0).numpy()), rtol=0, atol=1e-2
    )


@pytest.mark.parametrize("kernel", [3, 4, 5])
def test_written_out_transposed_convolution_is_the_transpose(kernel):
    """TensorFlow defines it by <conv(x), y> = <x, transposed(y)>."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(6, 10, 2)), random.normal(size=(3, 5, 4))
    weights = random.normal(size=(kernel, kernel, 2, 4))
    forward = (tensorflow_convolution(x, weights, 2) * y).sum()
    assert forward == pytest.approx((x * tensorflow_transposed_convolution(y, weights)).sum())


# ---- the files --------------------------------------------------------------------------------------------------


def with_statistics(state):
    """Add what PyTorch 0.3 kept in a norm and did not use."""
    norms = [key.removesuffix(".weight") for key in state if ".in" in f".{key}" and key.endswith(".weight")]
    return state | {
        f"{norm}.{key}": value
        for norm in norms
        for key, value in {
            "running_mean": torch.full_like(state[f"{norm}.bias"], 7.0),
            "running_var": torch.full_like(state[f"{norm}.bias"], 9.0),
        }.items()
    }


WRAPPED = {
    "with running statistics": with_statistics,
    "under state_dict": lambda state: {"epoch": 2, "state_dict": state},
    "under model": lambda state: {"model": state, "optimizer": {"state": {}}},
    "from DataParallel": lambda state: {f"module.{key}": value for key, value in state.items()},
    "from torch.compile": lambda state: {f"_orig_mod.{key}": value for key, value in state.items()},
    "from both": lambda state: {"model": {f"module._orig_mod.{key}": value for key, value in state.items()}},
    "with a compiled part": lambda state: {
        key.replace("res1.", "res1._orig_mod."): value for key, value in state.items()
    },
    "beside a loss network": lambda state: {
        "state_dict": {"vgg.0.weight": torch.ones(2)} | {f"net.{key}": value for key, value in state.items()}
    },
    "in double precision": lambda state: {key: value.double() for key, value in state.items()},
}


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "pickle"])
@pytest.mark.parametrize("case", WRAPPED)
def test_state_dict_is_found_in_a_training_checkpoint(tmp_path, case, archive):
    state, path = pytorch_state(), tmp_path / "style.model"
    torch.save(WRAPPED[case](state), path, _use_new_zipfile_serialization=archive)
    image = picture(16, 20)
    torch.testing.assert_close(answer(read_network(path), image), pytorch_answer(state, image), rtol=0, atol=1e-3)


@pytest.fixture(scope="module")
def crop(samples):
    """A part of a photo, [1, 3, 96, 130] in 0..255."""
    with Image.open(samples / "chelsea.jpg") as image:
        pixels = np.array(image.convert("RGB").crop((130, 80, 260, 176)), np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


@pytest.mark.parametrize(
    "kind", [kind if kind == "tracked statistics" else pytest.param(kind, marks=pytest.mark.slow) for kind in NORMS]
)
def test_style_paints_a_picture_as_the_original_does_in_eval(tmp_path, crop, kind):
    network = original(kind, crop)
    torch.save(network.state_dict(), tmp_path / "x.pth")
    import_style(tmp_path / "x.pth", CARD, PHOTO, tmp_path / "style.onnx")
    with torch.no_grad():
        expected = (network(crop)[..., :96, :130] / 255).clamp(0, 1).numpy()
    assert expected.std() > 0.1
    session = ort.InferenceSession(tmp_path / "style.onnx", providers=["CPUExecutionProvider"])
    (styled,) = session.run(["styled"], {"image": crop.numpy() / 255})
    np.testing.assert_allclose(styled, expected, rtol=0, atol=1e-3)


def test_tracked_statistics_count(crop):
    """The case is worth a test: without them, the original paints another picture."""
    network = original("tracked statistics", crop)
    with torch.no_grad():
        tracked, own = network(crop), network.train()(crop)
    assert (tracked - own).abs().mean() > 5


def test_compiled_network_is_imported(tmp_path, crop):
    network = original("instance norm", crop)
    torch.save(torch.compile(network).state_dict(), tmp_path / "x.pth")
    torch.testing.assert_close(answer(read_network(tmp_path / "x.pth"), crop), answer(network, crop))


def variable_names(count):
    return ["Variable", *(f"Variable_{number}" for number in range(1, count))]


NAMINGS = {
    "in order": lambda variables: {f"arr_{number}": v for number, v in enumerate(variables)},
    "by name": lambda variables: dict(zip(variable_names(len(variables)), variables, strict=True)),
    "by tensor": lambda variables: {f"{name}:0": v for name, v in NAMINGS["by name"](variables).items()},
    # The order in the archive has no meaning.
    "backwards": lambda variables: dict(reversed(NAMINGS["by tensor"](variables).items())),
    "with the optimiser's": lambda variables: (
        {"beta1_power:0": np.float32(0.9), "Variable_2/Adam_1:0": np.zeros(3)} | NAMINGS["by tensor"](variables)
    ),
    "in double precision": lambda variables: {f"arr_{n}": v.astype(">f8") for n, v in enumerate(variables)},
}


@pytest.mark.parametrize("case", NAMINGS)
def test_variables_are_ordered_by_their_numbers(tmp_path, case):
    variables, image = tensorflow_variables(), picture(12, 12)
    with (tmp_path / "weights").open("wb") as file:
        np.savez_compressed(file, **NAMINGS[case](variables))
    expected = tensorflow_answer(variables, image[0].permute(1, 2, 0).numpy())
    painting = answer(read_network(tmp_path / "weights"), image)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(painting, expected, rtol=0, atol=1e-2)


# ---- the style file ---------------------------------------------------------------------------------------------


def save_pytorch(path):
    torch.save(pytorch_state(), path)
    return lambda image: pytorch_answer(pytorch_state(), torch.from_numpy(image) * 255).numpy()


def save_transposed(path):
    torch.save(pytorch_state(transposed=True), path)
    return lambda image: pytorch_answer(pytorch_state(transposed=True), torch.from_numpy(image) * 255).numpy()


def save_tensorflow(path):
    with path.open("wb") as file:
        np.savez(file, *tensorflow_variables())
    return lambda image: tensorflow_answer(tensorflow_variables(), image[0].transpose(1, 2, 0) * 255.0).transpose(
        2, 0, 1
    )[None]


@pytest.fixture(scope="module", params=[save_pytorch, save_transposed, save_tensorflow], ids=lambda save: save.__name__)
def imported(request, tmp_path_factory):
    """The style file, the result of the import, and the original as a function of [1, 3, H, W] in 0..1."""
    folder = tmp_path_factory.mktemp("imported")
    original = request.param(folder / "source")
    return folder / "style.onnx", import_style(folder / "source", CARD, PHOTO, folder / "style.onnx"), original


def test_style_computes_what_the_original_does(imported):
    path, done, original = imported
    assert 0 <= done.difference <= to_onnx.TOLERANCE
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    for height, width in ((24, 24), (31, 18), (21, 33)):
        image = np.random.default_rng(height).random((1, 3, height, width), np.float32)
        expected = np.clip(original(image)[..., :height, :width] / 255, 0, 1)
        assert expected.std() > 0.1
        np.testing.assert_allclose(session.run(["styled"], {"image": image})[0], expected, rtol=0, atol=1e-4)


def test_style_describes_itself(imported):
    path, done, _ = imported
    (style,) = read_styles(path)
    assert (style.name, style.title, style.artist, style.year) == ("elsewhere", CARD.title, "Somebody", "1900")
    assert style.licence == "public domain"
    assert style.trained["imported_from"] == "source" and style.trained["layout"] == done.layout
    assert len(style.trained["imported_sha256"]) == 64
    with Image.open(io.BytesIO(style.thumbnail)) as thumbnail:
        assert thumbnail.format == "JPEG" and thumbnail.size == (120, 90)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    entries = {entry.key.removeprefix(PREFIX): entry.value for entry in model.metadata_props}
    johnson = TransformerSettings(WIDTH, BLOCKS, 9).receptive_radius - 3  # ours is bilinear
    assert johnson <= int(entries["receptive_radius"]) <= johnson + 3  # a transposed convolution reaches further
    assert 16 * WIDTH < style.bytes_per_pixel < 40 * WIDTH
    assert [p.name for p in path.parent.iterdir()] == ["source", "style.onnx"] and b".py" not in path.read_bytes()


def test_nan_is_not_a_small_difference(imported):
    session = ort.InferenceSession(imported[0], providers=["CPUExecutionProvider"])
    reference = to_onnx.Reference("nobody's", lambda image: image * np.nan, ((16, 16), (20, 20)))
    assert np.isnan(to_onnx.largest_difference(session, reference))


@pytest.mark.parametrize("size", [(37, 51), (3, 2), (1, 1)])
def test_style_paints_pictures_of_any_size(imported, size):
    pixels = np.random.default_rng(1).random((*size, 4), np.float32)
    painted = paint_fast(Picture(pixels), dict.fromkeys(read_styles(imported[0]), 1.0)).pixels
    assert painted.shape == pixels.shape and np.isfinite(painted).all() and (painted[..., :3] != pixels[..., :3]).any()


@pytest.mark.parametrize("size", [(37, 52), (24, 90), (61, 33)])
def test_style_paints_in_strips_as_whole(imported, samples, monkeypatch, size):
    styles = dict.fromkeys(read_styles(imported[0]), 1.0)
    assert largest_difference(monkeypatch, styles, photo(samples, *size), 200) < 0.6


# ---- files that are refused --------------------------------------------------------------------------------------


class _Runs:
    """An object that creates the file ``ran`` if it is unpickled without care."""

    def __reduce__(self):
        return open, ("ran", "w")


def without(key):
    return lambda: saved({k: v for k, v in pytorch_state().items() if k != key})


def saved(contents, archive=True) -> bytes:
    file = io.BytesIO()
    torch.save(contents, file, _use_new_zipfile_serialization=archive)
    return file.getvalue()


def arrays(*variables, **named) -> bytes:
    file = io.BytesIO()
    np.savez(file, *variables, **named)
    return file.getvalue()


def packed(array) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, array)
    return file.getvalue()


def oversized_array() -> bytes:
    """An .npz with an array whose header claims 8 TB."""
    array, file = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(array, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("arr_0.npy", array.getvalue() + bytes(80))
    return file.getvalue()


def misfit() -> bytes:
    return saved(pytorch_state() | {"conv2.conv2d.weight": torch.zeros(2 * WIDTH, WIDTH + 1, 3, 3)})


BAD = {
    "a pickle that runs code": (lambda: pickle.dumps(_Runs()), "more than tensors"),
    "an archive that runs code": (lambda: saved({"conv1.conv2d.weight": _Runs()}), "more than tensors"),
    "a whole module": (lambda: saved(torch.nn.Conv2d(3, 3, 3)), "state_dict"),
    "another network": (lambda: saved(torch.nn.Conv2d(3, 3, 3).state_dict()), "fast_neural_style"),
    "a list": (lambda: saved([1, 2]), "fast_neural_style"),
    "a missing bias": (without("conv2.conv2d.bias"), "conv2.conv2d.bias"),
    "a missing norm": (without("in3.weight"), "in3.weight"),
    "a missing block": (
        lambda: saved({key: value for key, value in pytorch_state().items() if not key.startswith("res1.")}),
        "res1",
    ),
    "one tensor too many": (lambda: saved(pytorch_state() | {"conv9.weight": torch.zeros(1)}), "conv9"),
    "channels that do not fit": (misfit, "not complete"),
    "no numbers": (lambda: saved(pytorch_state() | {"in1.bias": torch.full((WIDTH,), torch.nan)}), "infinite or NaN"),
    "statistics in part": (
        lambda: saved(pytorch_state() | {"in1.num_batches_tracked": torch.tensor(3)}),
        "in1.running_mean",
    ),
    "two networks": (lambda: saved({"model": pytorch_state(), "ema": pytorch_state()}), "2 networks"),
    "a tensor larger than its data": (
        lambda: saved(pytorch_state() | {"in1.bias": torch.zeros(1).expand(10**12)}),
        "cut off",
    ),
    "a Git LFS pointer": (
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7000000\n",
        "git lfs pull",
    ),
    "a state dict cut off": (lambda: saved(pytorch_state())[:-3000], "cut off"),
    "a pickle cut off": (lambda: saved(pytorch_state(), archive=False)[:3000], "cut off"),
    "variables cut off": (lambda: arrays(*tensorflow_variables())[:-3000], "cut off"),
    "objects": (lambda: arrays(np.array([{}], object)), "more than tensors"),
    "a missing variable": (
        lambda: arrays(**{f"Variable_{n}:0": v for n, v in enumerate(tensorflow_variables()) if n != 7}),
        "variable 7 of 30 is missing",
    ),
    "variables without the last": (lambda: arrays(*tensorflow_variables()[:-1]), "29 variables"),
    "variables in another order": (lambda: arrays(*reversed(tensorflow_variables())), "no kernel"),
    "variables that unpack to a gigabyte": (lambda: packed(np.zeros(2**28, np.float32)), "cut off"),
    "an array larger than its data": (lambda: oversized_array(), "cut off"),
    "a number too large": (lambda: arrays(arr_999999999=np.zeros(3)), "no style"),
    "other arrays": (lambda: arrays(weights=np.zeros(3)), "fast-style-transfer"),
    "another zip": (lambda: b"PK\x05\x06" + bytes(18), "fast_neural_style"),
    "a text": (lambda: b"no network", "fast_neural_style"),
    "a picture": (lambda: b"\xff\xd8\xff\xe0" + bytes(3000), "fast_neural_style"),
    "nothing": (lambda: b"", "fast_neural_style"),
}


@pytest.mark.parametrize("case", BAD)
def test_unsupported_file_is_one_sentence(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    content, reason = BAD[case]
    (tmp_path / "source").write_bytes(content())
    with pytest.raises(StyleError, match=reason) as caught:
        import_style(tmp_path / "source", CARD, PHOTO, tmp_path / "style.onnx")
    assert "\n" not in str(caught.value) and [p.name for p in tmp_path.iterdir()] == ["source"]


def test_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(StyleError, match="There is no file"):
        import_style(tmp_path / "missing.pth", CARD, PHOTO, tmp_path / "style.onnx")
    with pytest.raises(StyleError, match="not an ordinary file"):
        import_style(tmp_path, CARD, PHOTO, tmp_path / "style.onnx")


@pytest.mark.skipif(os.name != "posix", reason="pipes in folders are POSIX's")
def test_pipes_devices_and_large_files_are_not_opened(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(StyleError, match="not an ordinary file"):
            import_style(path, CARD, PHOTO, tmp_path / "style.onnx")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(10**10)
    with pytest.raises(StyleError, match=r"larger than .* \(10000 MB\)"):
        import_style(tmp_path / "large", CARD, PHOTO, tmp_path / "style.onnx")


def test_original_is_not_overwritten(tmp_path):
    source = tmp_path / "style.onnx"
    source.write_bytes(saved(pytorch_state()))
    with pytest.raises(StyleError, match="another output"):
        import_style(source, CARD, PHOTO, source)
