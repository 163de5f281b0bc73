"""What several tests of the filter share: small pictures, what the filter makes of them, its processes and errors."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil

from tests.host.conftest import skip_or_fail
from tests.host.gimp import Session

T = TypeVar("T")

FILTER, AGAIN, FOLDER = "plug-in-neural-style", "plug-in-neural-style-again", "plug-in-neural-style-folder"
WIDTH, HEIGHT = 41, 30
RECTANGLE = (5, 6, 20, 11)
# Half floats have 11 bits; linear 16-bit integers are coarse in the shadows.
ROUNDING = {"U8": 0.51 / 255, "HALF": 2.5e-4, "U16_LINEAR": 2e-4, "U16_NON": 0.51 / 65535}


def noise_pixels(grey: bool = False, alpha: bool = True) -> np.ndarray:
    """Return noise as [H, W, 4], with some transparent and half transparent columns if ``alpha`` is set."""
    random = np.random.default_rng(7)
    pixels = np.ones((HEIGHT, WIDTH, 4), np.float32)
    pixels[..., :3] = random.random((HEIGHT, WIDTH, 1 if grey else 3))
    if alpha:
        pixels[:, 10:14, 3] = 0
        pixels[:, 14:18, 3] = 0.4
    return pixels


def in_rectangle(shape: tuple[int, ...], rectangle: tuple[int, int, int, int]) -> np.ndarray:
    """Return which pixels of a picture of this shape lie in a rectangle (x, y, width, height)."""
    x, y, width, height = rectangle
    inside = np.zeros(shape[:2], bool)
    inside[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)] = True
    return inside


def negative(before: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Return how the test's style paints sRGB-encoded pixels; alpha and colours under transparent pixels stay."""
    after = before.copy()
    visible = before[..., 3] > 0
    # The network gets half transparent pixels mixed with the mean visible colour.
    alpha = before[..., 3:]
    mean = (before[..., :3] * alpha).sum((0, 1)) / alpha.sum()
    seen = before[..., :3] * alpha + mean * (1 - alpha)
    after[visible, :3] = (before[..., :3] * (1 - strength) + (1 - seen) * strength)[visible]
    return after


def raw_pixels(session: Session, layer: int) -> np.ndarray:
    """Return the pixels exactly as GIMP keeps them, as [H, W, bytes]."""
    width, height = session.call("describe_layer", layer=layer)["size"]
    return np.frombuffer(session.call("raw_bytes", drawable=layer), np.uint8).reshape(height, width, -1)


def pixels(session: Session, layer: int) -> np.ndarray:
    """Return the sRGB-encoded pixels as [H, W, 4]."""
    return session.call("pixels", drawable=layer)


def srgb_to_linear(encoded: np.ndarray) -> np.ndarray:
    """Return sRGB-encoded values in linear light."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def assert_refused(result: dict, *words: str) -> None:
    """Check that a call failed with an error of one sentence that has these words."""
    assert result["status"] == "execution-error"
    message = result["message"]
    for word in words:
        assert word in message
    assert message[-1] in ".?"
    assert "Traceback" not in message
    assert "\n" not in message


def write_last_values(profile: Path, values: dict[str, str]) -> None:
    """Write last values as the dialog does."""
    settings = profile / "plug-in-settings"
    settings.mkdir(exist_ok=True)
    lines = [f'({name} "{value}")\n' for name, value in values.items()]
    (settings / f"GimpProcedureConfigRun-{FILTER}.last").write_text("".join(lines), encoding="utf-8")


def require_torch() -> None:
    """Skip or fail the test if PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        skip_or_fail("PyTorch is not installed")


def require_root() -> None:
    """Skip or fail the test if it may not mount a disk."""
    if os.geteuid() != 0:
        skip_or_fail("only root may mount a disk")


def find_child(parent: int, script: str) -> psutil.Process | None:
    """Return the descendant of a process that runs this script or module, or None."""
    return next(
        (p for p in psutil.Process(parent).children(True) if any(a.endswith(script) for a in p.cmdline())), None
    )


def find_worker(session: Session) -> psutil.Process | None:
    """Return the worker of the filter that is running, or None.

    GIMP itself may have another one, to which tests connect.
    """
    filter_process = find_child(session.process.pid, "neural-style.py")
    return filter_process and find_child(filter_process.pid, "plugin.engine.process.worker")


def wait_until(
    condition: Callable[[], T], seconds: float = 180, explain: Callable[[], object] = lambda: "it did not happen"
) -> T:
    """Wait until the condition returns a true value, and return it; ``explain`` gives the message of a failure."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, explain()
        time.sleep(0.05)
    return value


def wait_for_value(read: Callable[[], Any], expected: object, seconds: float = 180) -> None:
    """Wait until ``read`` returns the expected value."""
    deadline = time.monotonic() + seconds
    while (value := read()) != expected:
        assert time.monotonic() < deadline, f"{value} instead of {expected}"
        time.sleep(0.1)
