import threading
import time

import numpy as np
import pytest

from nst_core.base.errors import StyleError
from nst_core.base.onnx_model import read_model
from nst_core.style_file import Style
from plugin.engine.fast import network_run, strip_painting
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.strip_painting import StripRun, paint_strips, stored_bytes
from plugin.engine.fast.style_library import find_styles, list_styles
from plugin.engine.fast.sweeps import plan_sweeps
from plugin.engine.fast.traced_network import Norm, Rows, Spread, UntraceableNetworkError, Window, trace
from plugin.engine.imaging.picture import Picture
from plugin.engine.machine.provider import CPU, Provider
from plugin.engine.progress import StoppedError, Stopper
from tests.strips import SETTINGS, largest_difference, photo

STYLES = {style.name: style for style in list_styles()}
HALF = np.array([[0.5, 0.5]], np.float32)


@pytest.fixture(scope="module")
def great_wave() -> Style:
    return STYLES["great-wave"]


def traced(style, height, width):
    return trace(read_model(style.path), height, width, HALF)


@pytest.mark.parametrize("name", STYLES)
def test_strips_equal_the_whole_painting(samples, monkeypatch, name):
    assert largest_difference(monkeypatch, {STYLES[name]: 1.0}, photo(samples, 301, 447), 2**14) < 0.6


@pytest.mark.parametrize("size", [(64, 64), (97, 61), (8, 900), (1001, 9), (33, 258), (5, 7), (254, 255)])
@pytest.mark.parametrize("strip_pixels", [1, 2**13])
def test_strips_of_odd_sizes_and_aspects_equal_the_whole(samples, monkeypatch, great_wave, size, strip_pixels):
    assert largest_difference(monkeypatch, {great_wave: 1.0}, photo(samples, *size), strip_pixels) < 0.6


@pytest.mark.slow
@pytest.mark.parametrize("size", [(833, 1200), (2000, 2000), (2449, 3673)])
def test_strips_of_megapixels_equal_the_whole(samples, monkeypatch, great_wave, size):
    monkeypatch.setattr(network_run, "WHOLE_BYTES", 2**40)
    assert largest_difference(monkeypatch, {great_wave: 1.0}, photo(samples, *size), 2**18) < 1


def test_mixture_of_files_in_strips_equals_the_whole(samples, monkeypatch):
    styles = find_styles("great-wave:0.6,udnie:0.4")
    assert largest_difference(monkeypatch, styles, photo(samples, 150, 210), 2**13) < 0.6


def test_sweeps_measure_every_norm_once_and_store_the_smallest_maps(great_wave):
    network = traced(great_wave, 400, 600)
    sweeps = plan_sweeps(network)
    norms = [layer for layer in network.layers if isinstance(layer, Norm)]
    assert [sweep.measured for sweep in sweeps] == [*norms, None] and len(norms) == 15
    assert sweeps[0].sources == sweeps[2].sources == (network.image,)
    assert all({item.height for item in sweep.stored} == {100} for sweep in sweeps[2:-2])
    assert stored_bytes(network) == 2 * 128 * 100 * 150  # half precision, two maps of 64 channels


def test_lack_of_memory_makes_the_strips_smaller(samples, monkeypatch, great_wave):
    picture = photo(samples, 120, 160)
    whole = paint_fast(picture, {great_wave: 1.0}, SETTINGS).pixels
    monkeypatch.setattr(network_run, "WHOLE_BYTES", 0)
    heights = []
    run_session = strip_painting._SweepStrips._run_session

    def run_short(self, inputs):
        heights.append(max(value.shape[2] for value in inputs.values() if value.ndim == 4))
        if heights[-1] > 40:
            raise MemoryError
        return run_session(self, inputs)

    monkeypatch.setattr(strip_painting._SweepStrips, "_run_session", run_short)
    strips = paint_fast(picture, {great_wave: 1.0}, SETTINGS).pixels
    assert heights[0] > 40 and np.abs(strips - whole).max() * 255 < 0.6


def test_no_memory_even_for_the_smallest_strip_is_one_sentence(samples, monkeypatch, great_wave):
    monkeypatch.setattr(network_run, "WHOLE_BYTES", 0)

    def fail(self, inputs):
        raise MemoryError

    monkeypatch.setattr(strip_painting._SweepStrips, "_run_session", fail)
    with pytest.raises(StyleError, match="narrow strip of the picture; close other programs"):
        paint_fast(photo(samples, 120, 160), {great_wave: 1.0}, SETTINGS)


def test_strips_report_progress_and_stop_soon(samples, monkeypatch, great_wave):
    monkeypatch.setattr(network_run, "WHOLE_BYTES", 0)
    monkeypatch.setattr(network_run, "STRIP_PIXELS", 2**14)
    fractions, stopper, stopped = [], Stopper(), []

    def progress(at):
        fractions.append(at.fraction)
        if len(fractions) == 40:
            threading.Thread(target=lambda: (stopped.append(time.monotonic()), stopper.stop())).start()
        return True

    with pytest.raises(StoppedError):
        paint_fast(photo(samples, 600, 800), {great_wave: 1.0}, SETTINGS, progress, stopper)
    assert time.monotonic() - stopped[0] < 0.5
    assert fractions == sorted(fractions) and fractions[-1] < 0.5
    with pytest.raises(StoppedError):
        paint_fast(photo(samples, 300, 400), {great_wave: 1.0}, SETTINGS, lambda at: at.fraction < 0.3)


def test_integer_pictures_are_painted_as_floats_are(samples, great_wave):
    floats = photo(samples, 90, 120)
    whole = paint_fast(floats, {great_wave: 1.0}, SETTINGS).pixels
    for kind, white in ((np.uint8, 255), (np.uint16, 65535)):
        values = np.round(floats.values * white).astype(kind)
        painted = paint_fast(Picture(values[..., :3]), {great_wave: 1.0}, SETTINGS).pixels
        assert painted.dtype == kind and painted.shape == (90, 120, 4) and (painted[..., 3] == white).all()
        assert np.abs(painted / white - whole).max() <= 0.51 / white + 1e-5


def test_networks_of_another_kind_are_not_traced(great_wave, noisy_model):
    with pytest.raises(UntraceableNetworkError):
        trace(noisy_model, 64, 64, np.ones((1, 1), np.float32))
    with pytest.raises(UntraceableNetworkError):
        trace(b"no model", 64, 64, HALF)


@pytest.fixture
def noisy_model() -> bytes:
    """A network that subtracts the mean of the whole picture, which strips do not know."""
    from onnx import TensorProto, helper

    size = [1, 3, "height", "width"]
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Sub", ["image", "mean"], ["styled"]),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name in ("image", "styled")]
    graph = helper.make_graph(nodes, "mean", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def test_windows_and_spreads_name_the_rows_that_convolutions_read():
    convolution = Window(stride=2, before=1, extent=3, border="reflect")
    assert convolution.needed(Rows(0, 2), 20) == Rows(0, 4) and convolution.missing(Rows(0, 2), 20) == (1, 0)
    assert convolution.needed(Rows(9, 10), 19) == Rows(17, 19) and convolution.missing(Rows(9, 10), 19) == (0, 1)
    shuffle = Spread(factor=2, before=0, extent=2)
    assert shuffle.needed(Rows(3, 6), 20) == Rows(1, 3) and shuffle.first_written(Rows(1, 3)) == 2
    transposed = Spread(factor=2, before=1, extent=3)
    assert transposed.needed(Rows(4, 6), 20) == Rows(2, 4) and transposed.first_written(Rows(2, 4)) == 3


def test_painting_needs_no_more_strips_than_asked(great_wave):
    network = traced(great_wave, 64, 48)
    image = np.random.default_rng(0).random((64, 48, 3), np.float32)
    run = StripRun(Provider(CPU, ""), 16 * 48)
    parts = list(paint_strips(network, lambda rows: image[rows.first : rows.end], run))
    assert [len(rows) for rows, _ in parts] == [16] * 4
