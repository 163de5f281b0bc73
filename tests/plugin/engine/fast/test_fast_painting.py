import json
import subprocess
import sys
import threading

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from nst_core.base.errors import StyleError
from nst_core.style_file import PREFIX, read_styles
from plugin.engine.fast.fast_painting import fast_memory, paint_fast
from plugin.engine.fast.fast_settings import WORKING_PIXELS, FastSettings, working_size
from plugin.engine.fast.network_run import run_network
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.picture import Picture
from plugin.engine.imaging.resampling import resample_picture
from plugin.engine.machine import memory, provider
from plugin.engine.progress import StoppedError, Stopper
from tests.style_files import dimming_style, negative_style


@pytest.fixture(scope="module")
def style():
    return find_styles("great-wave")


def picture(height: int, width: int) -> Picture:
    pixels = np.random.default_rng(0).random((height, width, 4), np.float32)
    pixels[..., 3] = 1
    return Picture(pixels)


@pytest.mark.parametrize("stroke_size", [50, 100, 137.5, 200])
@pytest.mark.parametrize("size", [(1, 1), (1, 200), (3, 5), (7, 8), (9, 9), (64, 64), (97, 61), (211, 40)])
def test_any_size_and_aspect_ratio_is_painted(style, size, stroke_size):
    result = paint_fast(picture(*size), style, FastSettings(stroke_size=stroke_size))
    assert result.pixels.shape == (*size, 4) and result.pixels.dtype == np.float32
    assert np.isfinite(result.pixels).all() and result.pixels.min() >= 0 and result.pixels.max() <= 1


def test_painting_differs_from_the_photo(style, noise):
    noise[..., 3] = 1
    result = paint_fast(Picture(noise), style)
    assert np.abs(result.pixels - noise)[..., :3].mean() > 0.05
    assert np.array_equal(paint_fast(Picture(noise), style).pixels, result.pixels)  # the second run paints the same


@pytest.mark.parametrize("stroke_size", [50, 100, 200])
def test_alpha_and_transparent_pixels_stay(style, noise, stroke_size):
    result = paint_fast(Picture(noise), style, FastSettings(stroke_size=stroke_size))
    assert np.array_equal(result.pixels[..., 3], noise[..., 3])
    hidden = noise[..., 3] == 0
    assert hidden.any() and np.array_equal(result.pixels[hidden], noise[hidden])


def test_strength_mixes_photo_and_painting(style, noise):
    noise[..., 3] = 1
    whole, half, none = (
        paint_fast(Picture(noise), style, FastSettings(blend=BlendSettings(strength))).pixels
        for strength in (100, 50, 0)
    )
    assert np.array_equal(none, noise)
    np.testing.assert_allclose(half, (whole + noise) / 2, atol=1e-6)
    with pytest.raises(StyleError, match="from 0 to 100"):
        BlendSettings(strength=101)


def blots() -> np.ndarray:
    """Return random soft blots without detail that would change with the size: float32 [256, 256, 4]."""
    pixels = resample_picture(np.random.default_rng(0).random((32, 32, 4), np.float32), 256, 256)
    pixels[..., 3] = 1
    return pixels


def frequency(pixels: np.ndarray) -> float:
    """Compute the centroid of the power spectrum, in cycles per pixel."""
    grey = pixels[..., :3].mean(2)
    power = np.abs(np.fft.fft2((grey - grey.mean()) * np.outer(*[np.hanning(extent) for extent in grey.shape]))) ** 2
    return float((power * np.hypot(*np.meshgrid(*[np.fft.fftfreq(e) for e in grey.shape]))).sum() / power.sum())


def test_stroke_size_changes_the_strokes():
    style = find_styles("starry-night")  # strokes everywhere; the Great Wave leaves much of a picture bare
    frequencies = [
        frequency(paint_fast(Picture(blots()), style, FastSettings(stroke_size=size)).pixels) for size in (50, 100, 200)
    ]
    assert frequencies[0] > 1.1 * frequencies[1] and frequencies[1] > 1.1 * frequencies[2], frequencies


@pytest.mark.parametrize("photo", ["chelsea.jpg", "coffee.jpg", "rocket.jpg"])
def test_small_copy_previews_the_large_picture(photo, samples, monkeypatch):
    """The painting of the copy and that of the picture look alike at the size of a dialog, as a preview must."""
    torch = pytest.importorskip("torch")
    from nst_core.losses.metrics import luminance, ssim

    monkeypatch.setattr("plugin.engine.fast.fast_settings.WORKING_PIXELS", 60_000)
    with Image.open(samples / photo) as image:
        opened = np.array(image.convert("RGBA")).astype(np.float32) / 255
    copy = resample_picture(opened, *working_size(*opened.shape[:2], FastSettings()))
    assert copy.shape[0] < opened.shape[0]

    def alike(name: str, settings: FastSettings) -> float:
        shown, painted = (
            torch.from_numpy(resample_picture(paint_fast(Picture(p), find_styles(name), settings).pixels, 180, 270))
            for p in (copy, opened)
        )
        return ssim(*(luminance(p[..., :3].permute(2, 0, 1)) for p in (shown, painted)))

    for name in ("great-wave", "starry-night", "udnie"):
        relative, full = (alike(name, FastSettings(full_resolution=value)) for value in (False, True))
        assert relative >= 0.9 and full < relative


@pytest.mark.parametrize("stroke_size", [50, 100, 200])
def test_full_resolution_changes_nothing_at_the_working_size(style, noise, stroke_size):
    noise[..., 3] = 1
    painted = [
        paint_fast(Picture(noise), style, FastSettings(stroke_size=stroke_size, full_resolution=full))
        for full in (False, True)
    ]
    assert np.array_equal(painted[0].pixels, painted[1].pixels)


@pytest.mark.parametrize("stroke_size", [50, 100, 200])
def test_working_size_is_relative_to_the_picture(stroke_size):
    settings = FastSettings(stroke_size=stroke_size)
    sizes = [working_size(2 * extent, 3 * extent, settings) for extent in (500, 1000, 3000)]
    assert len(set(sizes)) == 1
    assert sizes[0][0] * sizes[0][1] == pytest.approx(WORKING_PIXELS * (100 / stroke_size) ** 2, rel=0.01)
    in_pixels = FastSettings(stroke_size=stroke_size, full_resolution=True)
    assert working_size(2000, 3000, in_pixels) == (2000 * 100 // stroke_size, 3000 * 100 // stroke_size)


def test_painting_can_be_stopped(style):
    class Impatient(Stopper):
        def on_stop(self, action):
            super().on_stop(action)
            self.timer = threading.Timer(0.05, self.stop)
            self.timer.start()

    with pytest.raises(StoppedError):
        paint_fast(picture(1024, 1024), style, stopper=Impatient())
    stopped = Stopper()
    stopped.stop()
    with pytest.raises(StoppedError):
        paint_fast(picture(16, 16), style, stopper=stopped)
    assert paint_fast(picture(16, 16), style).pixels.shape == (16, 16, 4)  # the session still works


def test_large_strokes_keep_the_photos_edges(style):
    """A step in the photo is steeper than in the small painting enlarged."""
    pixels = np.ones((160, 160, 4), np.float32)
    pixels[:, :75, :3] = 0.05
    large = paint_fast(Picture(pixels), style, FastSettings(stroke_size=200)).pixels
    small = paint_fast(Picture(resample_picture(pixels, 80, 80)), style).pixels
    inner = (slice(20, -20), slice(65, 85), slice(0, 3))
    steepest, plainly = (
        np.abs(np.diff(painted[inner], axis=1)).max((1, 2)).mean()
        for painted in (large, resample_picture(small, 160, 160))
    )
    assert steepest > 1.25 * plainly


def test_stroke_size_100_is_the_bare_network(style, noise):
    noise[..., 3] = 1
    result = paint_fast(Picture(noise), style, FastSettings(stroke_size=100, device="cpu"))
    (chosen,) = style
    session = provider.open_session(chosen.path, result.provider)
    bare = run_network(session, noise[..., :3], np.ones((1, 1), np.float32))
    assert np.array_equal(result.pixels[..., :3], bare)


def test_run_gives_its_memory_back(style):
    (chosen,) = style
    # A process of its own has no memory left over from other tests.
    code = """
import sys, numpy as np, psutil
from pathlib import Path
from plugin.engine.machine import provider
from plugin.engine.fast.network_run import run_network

def used():
    return psutil.Process().memory_info().rss

session = provider.open_session(Path(sys.argv[1]), provider.Provider(provider.CPU, "asked for"))
rgb = np.random.default_rng(0).random((512, 512, 3), np.float32)
before = used()
run_network(session, rgb, np.ones((1, 1), np.float32))
left = used() - before
session.run(["styled"], {"image": rgb.transpose(2, 0, 1)[None]})  # as ONNX Runtime does by itself
print(left, used() - before)
"""
    result = subprocess.run([sys.executable, "-c", code, str(chosen.path)], capture_output=True, text=True, check=True)
    left, kept = map(int, result.stdout.split())
    assert kept > 40 * 2**20 and left < kept / 2


@pytest.mark.parametrize("stroke_size", [49.9, 200.1, 0, -100, float("nan"), float("inf")])
def test_stroke_size_out_of_range_is_refused(stroke_size):
    with pytest.raises(StyleError, match="from 50 to 200"):
        FastSettings(stroke_size=stroke_size)


def test_result_has_provider_and_seconds(style):
    result = paint_fast(picture(32, 32), style, FastSettings(device="cpu"))
    assert result.provider == provider.Provider(provider.CPU, "the CPU was requested")
    assert result.seconds["total"] == pytest.approx(sum(v for k, v in result.seconds.items() if k != "total"), abs=1e-3)


def test_missing_gpu_is_explained(style):
    if provider.cuda_problem(next(iter(style)).path) is None:
        pytest.skip("this machine has a GPU that works")
    chosen = provider.choose_provider("auto", next(iter(style)).path)
    assert (chosen.name, chosen.reason) == (provider.CPU, provider.cuda_problem(next(iter(style)).path))
    with pytest.raises(StyleError, match="GPU cannot be used"):
        provider.choose_provider("cuda", next(iter(style)).path)
    with pytest.raises(StyleError, match="auto, cuda, cpu"):
        provider.choose_provider("tpu", next(iter(style)).path)


def test_only_a_broken_gpu_gives_a_note(style, monkeypatch):
    """Imitate a machine with a driver and ONNX Runtime for CUDA, on which the trial run fails."""
    path = next(iter(style)).path
    monkeypatch.setattr(provider, "cuda_problem", lambda model: "the trial run on the GPU failed (no memory)")
    monkeypatch.setattr(provider, "nvidia_driver", lambda: True)
    monkeypatch.setattr(provider.ort, "get_available_providers", lambda: [provider.CUDA, provider.CPU])
    (note,) = paint_fast(picture(16, 16), style).notes
    assert "the trial run on the GPU failed (no memory)" in note and note.count(".") == 1
    assert provider.choose_provider("auto", path).fell_back
    monkeypatch.setattr(provider, "nvidia_driver", lambda: False)
    assert paint_fast(picture(16, 16), style).notes == []


def test_too_large_picture_is_refused_in_one_sentence(style, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 262 * 2**20)
    with pytest.raises(StyleError, match=r"0\.2 megapixels.*make it smaller .at most 0\.[01]"):
        paint_fast(picture(500, 500), style)


def test_memory_check_names_the_settings_that_count(style, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 286 * 2**20)
    paint_fast(picture(300, 400), style, FastSettings(stroke_size=100))
    with pytest.raises(StyleError, match=r"at a stroke size of 50 % has 0\.1 megapixels.*at most 0\.1 megapixels"):
        paint_fast(picture(300, 400), style, FastSettings(stroke_size=50))
    monkeypatch.setattr("plugin.engine.fast.fast_settings.WORKING_PIXELS", 30_000)
    paint_fast(picture(780, 780), style)
    with pytest.raises(StyleError, match=r"The picture with strokes at full resolution has 0\.6 megapixels"):
        paint_fast(picture(780, 780), style, FastSettings(full_resolution=True))


def test_little_memory_makes_strips_in_place_of_an_error(style, monkeypatch):
    height, width = 480, 640
    whole = paint_fast(picture(height, width), style)
    monkeypatch.setattr(memory, "available_memory", lambda: 310 * 2**20)
    plan = fast_memory(height, width, style, FastSettings()).largest
    assert plan.strip_pixels is not None and plan.strip_pixels < height * width / 2
    strips = paint_fast(picture(height, width), style)
    assert np.abs(strips.pixels - whole.pixels).max() * 255 < 0.6


def test_memory_limit_is_kept_and_checked(style):
    with pytest.raises(StyleError, match=r"0\.1 GiB; give 0\.25 to 1024"):
        FastSettings(max_memory=0.1)
    taken = memory.usable_memory(None)
    assert memory.usable_memory(1024.0) == pytest.approx(taken, rel=0.1) and memory.usable_memory(0.25) < 2**28
    with pytest.raises(StyleError, match=r"0\.25 GiB are allowed; allow more memory, or make the picture smaller"):
        paint_fast(picture(3000, 3000), style, FastSettings(max_memory=0.25))


def test_progress_runs_to_the_end(style):
    seen = []
    paint_fast(picture(16, 16), style, progress=lambda p: seen.append(p.fraction) or True)
    assert seen == sorted(seen) and seen[0] == 0 and seen[-1] == 1


@pytest.mark.parametrize(
    ("stroke_size", "side", "full"), [(50, 768, True), (100, 1536, True), (200, 1536, True), (100, 2048, False)]
)
def test_memory_estimate_holds(style, stroke_size, side, full):
    """The peak of a real run, with memory kept as in hosts, is below the estimate, and not far below."""
    script = """
import sys
import threading
import numpy as np
import onnx
from plugin.engine.machine.memory import keep_freed_memory, peak_rss_mib
from plugin.engine.imaging.picture import Picture
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.fast.fast_painting import paint_fast
keep_freed_memory()
style, side = find_styles("great-wave"), int(sys.argv[2])
settings = FastSettings(stroke_size=float(sys.argv[1]), full_resolution=sys.argv[3] == "True")
paint_fast(Picture(np.zeros((64, 64, 4), np.float32)), style, settings)
picture = Picture(np.random.default_rng(0).random((side, side, 4), np.float32))
before = peak_rss_mib()
paint_fast(picture, style, settings)
print((peak_rss_mib() - before) * 2**20 / side**2)
"""
    command = [sys.executable, "-c", script, str(stroke_size), str(side), str(full)]
    peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    estimate = fast_memory(side, side, style, FastSettings(stroke_size, full)).total / side**2
    print(stroke_size, peak, estimate)
    assert 0.4 * estimate < peak <= estimate


def test_fast_way_never_imports_torch():
    script = (
        "import sys, numpy as np\n"
        "from plugin.engine.fast import fast_painting, style_library\n"
        "from plugin.engine.imaging import picture\n"
        "from plugin.engine.iterative import iterative_painting\n"
        "nothing = picture.Picture(np.zeros((9, 9, 4), np.float32))\n"
        "fast_painting.paint_fast(nothing, style_library.find_styles('great-wave'))\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.fixture
def dimmers(tmp_path):
    """Three styles in two files, which dim the picture to 20 %, 80 % and 50 %."""
    for name, factors in (("two", (0.2, 0.8)), ("one", (0.5,))):
        table = onnx.numpy_helper.from_array(np.array(factors, np.float32)[:, None], "factors")
        default = onnx.numpy_helper.from_array(np.eye(1, len(factors), dtype=np.float32), "style_weights")
        size = [1, 3, "height", "width"]
        image, styled = (
            onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, size) for n in ("image", "styled")
        )
        weights = onnx.helper.make_tensor_value_info("style_weights", onnx.TensorProto.FLOAT, [1, len(factors)])
        nodes = [
            onnx.helper.make_node("MatMul", ["style_weights", "factors"], ["factor"]),
            onnx.helper.make_node("Mul", ["image", "factor"], ["styled"]),
        ]
        inputs = [image, weights] if len(factors) > 1 else [image]
        graph = onnx.helper.make_graph(nodes, name, inputs, [styled], [table, default])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
        cards = [
            dict.fromkeys(("title", "artist", "year", "licence", "thumbnail"), "") | {"name": f"{name}-{n}"}
            for n in range(len(factors))
        ]
        rules = {"format": "2", "multiple_of": "4", "minimum_size": "8", "bytes_per_pixel": "24"}
        properties = rules | {"styles": json.dumps(cards)}
        onnx.helper.set_model_props(model, {PREFIX + key: value for key, value in properties.items()})
        onnx.save(model, tmp_path / f"{name}.onnx")
    return [style for name in ("two", "one") for style in read_styles(tmp_path / f"{name}.onnx")]


@pytest.mark.parametrize(
    ("shares", "factor"),
    [((1, 0, 0), 0.2), ((0, 1, 0), 0.8), ((0.5, 0.5, 0), 0.5), ((0.25, 0.25, 0.5), 0.5), ((0, 0.4, 0.6), 0.62)],
)
def test_mixture_weighs_each_style_by_its_share(dimmers, noise, shares, factor):
    """Within one file and across files."""
    noise[..., 3] = 1
    mixture = {style: share for style, share in zip(dimmers, shares, strict=True) if share}
    result = paint_fast(Picture(noise), mixture)
    np.testing.assert_allclose(result.pixels[..., :3], noise[..., :3] * factor, atol=1e-5)


@pytest.mark.parametrize(("detail", "factor"), [(None, 0.35), (0, 0.8), (50, 0.5), (100, 0.2)])
def test_detail_mixes_the_rows_of_a_style(dimmers, noise, detail, factor, tmp_path):
    onnx.save(dimming_style(faithful=0.2, bold=0.8, detail=75), tmp_path / "detail.onnx")
    (style,) = read_styles(tmp_path / "detail.onnx")
    noise[..., 3] = 1
    result = paint_fast(Picture(noise), {style: 1.0}, FastSettings(detail=detail))
    np.testing.assert_allclose(result.pixels[..., :3], noise[..., :3] * factor, atol=1e-5)
    mixture = {style: 0.5, dimmers[2]: 0.5}
    mixed = paint_fast(Picture(noise), mixture, FastSettings(detail=detail))
    np.testing.assert_allclose(mixed.pixels[..., :3], noise[..., :3] * (factor + 0.5) / 2, atol=1e-5)


def test_detail_out_of_range_is_refused():
    with pytest.raises(StyleError, match="from 0 to 100"):
        FastSettings(detail=101)


def style_that_computes(path, nodes, initializers=(), image=TensorProto.FLOAT, styled=TensorProto.FLOAT):
    """Write a style file whose graph is wrong."""
    model = negative_style()
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(initializers)
    model.graph.input[0].type.tensor_type.elem_type = image
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("styled", styled, None))
    path.write_bytes(model.SerializeToString())
    return read_styles(path)[0]


WRONG_STYLES = {
    "NaN": ([helper.make_node("Log", ["minus"], ["nan"]), helper.make_node("Add", ["image", "nan"], ["styled"])], {}),
    "infinity": ([helper.make_node("Div", ["image", "zero"], ["styled"])], {}),
    "five channels": ([helper.make_node("Concat", ["image", "image"], ["styled"], axis=1)], {}),
    "half the size": ([helper.make_node("MaxPool", ["image"], ["styled"], kernel_shape=[2, 2], strides=[2, 2])], {}),
    "a number": ([helper.make_node("ReduceMean", ["image"], ["styled"], keepdims=0)], {}),
    "bytes": (
        [helper.make_node("Cast", ["image"], ["styled"], to=TensorProto.UINT8)],
        {"styled": TensorProto.UINT8},
    ),
    "bytes wanted": (
        [helper.make_node("Cast", ["image"], ["styled"], to=TensorProto.FLOAT)],
        {"image": TensorProto.UINT8},
    ),
    "a loop": ([helper.make_node("Loop", ["", ""], ["styled"], body=helper.make_graph([], "body", [], []))], {}),
}


@pytest.mark.parametrize("case", WRONG_STYLES)
def test_wrong_style_is_one_sentence(tmp_path, case):
    nodes, types = WRONG_STYLES[case]
    constants = [
        helper.make_tensor(name, TensorProto.FLOAT, [], [value]) for name, value in (("minus", -1), ("zero", 0))
    ]
    wrong = style_that_computes(tmp_path / "x.onnx", nodes, constants, **types)
    with pytest.raises(StyleError) as raised:
        paint_fast(picture(20, 24), {wrong: 1.0}, FastSettings(device="cpu"))
    assert str(raised.value).count(". ") <= 1
