"""What the tests of the filter share: small pictures, what must become of them, and what a refusal looks like."""

from __future__ import annotations

import importlib.util
import time

import numpy as np
import psutil

from tests.host.conftest import unavailable
from tests.host.gimp import Session

FILTER, AGAIN, FOLDER = "plug-in-neural-style", "plug-in-neural-style-again", "plug-in-neural-style-folder"
WIDTH, HEIGHT = 41, 30
RECTANGLE = (5, 6, 20, 11)
# Half floats have 11 bits; linear 16-bit integers are coarse in the shadows.
ROUNDING = {"U8": 0.51 / 255, "HALF": 2.5e-4, "U16_LINEAR": 2e-4, "U16_NON": 0.51 / 65535}


def some_pixels(grey: bool = False, alpha: bool = True) -> np.ndarray:
    """[H, W, 4]: noise, with some transparent and half transparent columns if there is an alpha channel."""
    random = np.random.default_rng(7)
    pixels = np.ones((HEIGHT, WIDTH, 4), np.float32)
    pixels[..., :3] = random.random((HEIGHT, WIDTH, 1 if grey else 3))
    if alpha:
        pixels[:, 10:14, 3] = 0
        pixels[:, 14:18, 3] = 0.4
    return pixels


def in_rectangle(shape: tuple[int, ...], rectangle: tuple[int, int, int, int]) -> np.ndarray:
    x, y, width, height = rectangle
    inside = np.zeros(shape[:2], bool)
    inside[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)] = True
    return inside


def negative(before: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """What the test's style makes of sRGB-encoded pixels, alpha and the colour under transparent pixels kept."""
    after = before.copy()
    visible = before[..., 3] > 0
    # Half transparent pixels are shown to the network mixed with the mean visible colour.
    alpha = before[..., 3:]
    mean = (before[..., :3] * alpha).sum((0, 1)) / alpha.sum()
    seen = before[..., :3] * alpha + mean * (1 - alpha)
    after[visible, :3] = (before[..., :3] * (1 - strength) + (1 - seen) * strength)[visible]
    return after


def raw_pixels(session: Session, layer: int) -> np.ndarray:
    """[H, W, bytes]: the pixels as GIMP keeps them."""
    width, height = session.call("facts", layer=layer)["size"]
    return np.frombuffer(session.call("raw", drawable=layer), np.uint8).reshape(height, width, -1)


def pixels(session: Session, layer: int) -> np.ndarray:
    return session.call("pixels", drawable=layer)


def to_linear(encoded: np.ndarray) -> np.ndarray:
    """The sRGB transfer function."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def assert_refused(result: dict, *words: str) -> None:
    """An error of one sentence that says these words."""
    assert result["status"] == "execution-error"
    message = result["message"]
    for word in words:
        assert word in message
    assert message[-1] in ".?"
    assert "Traceback" not in message
    assert "\n" not in message


def need_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        unavailable("PyTorch is not installed")


def child(parent: int, script: str) -> psutil.Process | None:
    """The process of a plug-in."""
    return next(
        (p for p in psutil.Process(parent).children(True) if any(a.endswith(script) for a in p.cmdline())), None
    )


def worker(session: Session) -> psutil.Process | None:
    """The engine's process of the filter that runs. GIMP may have one too: tests connect to it from there."""
    filter = child(session.process.pid, "neural-style.py")
    return filter and child(filter.pid, "plugin.engine.process.worker")


def until(condition, seconds: float = 180, told=lambda: "it did not happen"):
    """The condition's first true value; ``told`` explains a failure."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, told()
        time.sleep(0.05)
    return value
