"""Thousands of calls of one engine in a process of its own: its memory does not grow."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_core.base.errors import StyleError
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.messages import Area, FastRequest, LayerView, PreviewRequest, RawPicture
from plugin.engine.progress import StoppedError, Stopper
from plugin.engine.service import LocalEngine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.nightly,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]
CALLS = 2000
SIZES = ((160, 107), (90, 120), (200, 133), (64, 64), (151, 101))  # width, height
STYLES = ("great-wave", "udnie", "great-wave:0.5,the-scream:0.5")


def resident(pid: int) -> float:
    """Return the memory that a process has now, in MiB."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 2**10


def paint(engine, pixels, styles):
    height, width, _ = pixels.shape
    request = FastRequest(styles, FastSettings())
    (painted,) = engine.paint([RawPicture(width, height, 3, pixels.tobytes(), None, True)], request)
    assert len(painted.picture.data) == 4 * height * width


def preview(engine, pixels, styles):
    height, width, _ = pixels.shape
    layer = engine.open_layer(RawPicture(width, height, 3, pixels.tobytes(), None, True), False)
    whole = LayerView(Area(0, 0, layer.width, layer.height), layer.width, layer.height)
    shown = engine.preview(layer.number, PreviewRequest(tuple(styles.items()), 100.0), True, Stopper())
    for strength in (100.0, 50.0):
        engine.mix_preview(layer.number, shown.number, whole, BlendSettings(strength))
    engine.close_layer(layer.number)


def stop(engine, pixels, styles):
    height, width, _ = pixels.shape
    layer, stopper = engine.open_layer(RawPicture(width, height, 3, pixels.tobytes(), None, True), False), Stopper()
    stopper.stop()
    with pytest.raises(StoppedError):
        engine.preview(layer.number, PreviewRequest(tuple(styles.items()), 100.0), False, stopper)
    engine.close_layer(layer.number)


def fail(engine, pixels, styles):
    with pytest.raises(StyleError):
        engine.check_pictures(10**9)


def test_memory_does_not_grow_in_two_thousand_calls(start_engine, samples, record_property):
    with Image.open(samples / "chelsea.jpg") as photo:
        pictures = [np.array(photo.convert("RGB").resize(size)) for size in SIZES]
    styles = [find_styles(text) for text in STYLES]
    engine, curve, released = start_engine(), [], []
    kinds = (paint, preview, paint, stop, preview, fail, paint)  # 7, 5 and 3: every combination comes
    for number in range(CALLS):
        call, pixels, style = (choices[number % len(choices)] for choices in (kinds, pictures, styles))
        call(engine, pixels, style)
        curve.append(resident(engine.pid))
        if (number + 1) % (CALLS // 10) == 0:
            engine._call(LocalEngine.release_memory)  # as a warm worker does that waits for its next host
            released.append(resident(engine.pid))
    engine.close()
    tenths = np.reshape(curve, (10, -1)).mean(1)
    record_property("MiB", [round(tenth, 1) for tenth in tenths.tolist()])
    record_property("MiB when released", [round(value, 1) for value in released])
    assert tenths[-1] < 1.05 * tenths[1]
    assert released[-1] < 1.02 * released[1]  # kept memory hides no leak
