"""The dialog's layout under a window manager: on small and large screens, and where GTK's pixels are two of these."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.conftest import SAMPLES
from tests.host.checks import wait_for_value, wait_until
from tests.host.desktop import Desktop
from tests.host.test_dialog import close_dialog, find_preview

# Pixels that a window's frame and the space around it take.
FRAME = 40
# The smallest screen and the sharpest; those in between take a minute of every run.
SCREENS = pytest.mark.parametrize(
    ("screen", "scale"),
    [
        ({"width": 1280, "height": 720, "managed": True}, 1),
        pytest.param({"width": 1366, "height": 768, "managed": True}, 1, marks=pytest.mark.nightly),
        pytest.param({"width": 1920, "height": 1080, "managed": True}, 1, marks=pytest.mark.nightly),
        ({"width": 2560, "height": 1440, "managed": True}, 2),
    ],
    indirect=["screen"],
    ids=["1280x720", "1366x768", "1920x1080", "2560x1440 at scale 2"],
)


@SCREENS
@pytest.mark.parametrize("shape", [(1920, 1080), (4000, 400)], ids=["portrait", "strip"])
def test_dialog_of_a_tall_photo_fits_the_screen(desktop, home, scale, shape):
    screen = desktop.screen
    with desktop.start_gimp(home, variables={"GDK_SCALE": str(scale)}) as session:
        image, _ = session.call("new_image", pixels=photo(*shape), alpha=False, display=True)
        dialog = desktop.open_filter(move=False)
        wait_for_layout(desktop, dialog)
        left, top, width, height = screen.place(dialog)
        desktop.save_screenshot(f"layout-{screen.width}-{shape[0]}x{shape[1]}")
        assert left >= 0 and top >= 0
        assert left + width <= screen.width and top + height <= screen.height
        # It can be made small, and its buttons stay.
        screen.resize(dialog, 820 * scale, 420 * scale)
        assert screen.place(dialog)[2:] == (820 * scale, 420 * scale)
        desktop.save_screenshot(f"layout-{screen.width}-{shape[0]}x{shape[1]}-small")
        left, top, width, height = screen.place(dialog)
        screen.click(left + width - 50 * scale, top + height - 25 * scale)  # Paint
        wait_until(lambda: len(session.call("describe_image", image=image)["layers"]) == 2)


@SCREENS
def test_preview_grows_with_the_dialog_and_is_sharp(desktop, home, scale):
    screen, pixels = desktop.screen, photo(400, 600)
    with desktop.start_gimp(home, variables={"GDK_SCALE": str(scale)}) as session:
        session.call("new_image", pixels=pixels, alpha=False, display=True)
        dialog = desktop.open_filter(move=False)
        screen.resize(dialog, 700 * scale, 420 * scale)
        wait_for_layout(desktop, dialog)
        if scale == 1:
            assert find_preview(desktop, pixels, None, 0.5) is None
        screen.resize(dialog, screen.width - 20, screen.height - 2 * FRAME)
        wait_for_value(lambda: find_preview(desktop, pixels, None, 0.5) is not None, True)
        desktop.save_screenshot(f"layout-{screen.width}-large")
        close_dialog(desktop, session)


def wait_for_layout(desktop: Desktop, dialog: str) -> None:
    """Wait until the dialog's size no longer changes."""
    last = None

    def settled() -> bool:
        nonlocal last
        before, last = last, desktop.screen.place(dialog)
        return before == last

    wait_until(settled)


def photo(height: int, width: int) -> np.ndarray:
    """Return a sample photo at this size: [H, W, 4]."""
    with Image.open(SAMPLES / "coffee.jpg") as opened:
        resized = opened.convert("RGBA").resize((width, height), Image.Resampling.LANCZOS)
    return np.array(resized).astype(np.float32) / 255
