"""The filter in a real GIMP with a screen: menu, dialog, last values, undo, and messages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.conftest import SAMPLES
from tests.host.conftest import needed
from tests.host.gimp import Screen, Session, environment, make_profile

OPEN_THE_FILTER = ("alt+r", "a", "n")  # Filters > Artistic > Neural Style…
DIALOG = "^Neural Style$"


@pytest.fixture
def screen() -> Iterator[Screen]:
    for program in ("Xvfb", "xdotool", "scrot"):
        needed(program)
    with Screen() as screen:
        yield screen


def test_a_person_at_the_screen(gimp, screen, home, artifacts, tmp_path):
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        pixels = np.dstack([np.array(photo), np.full(photo.size[::-1], 255)]).astype(np.float32) / 255
    profile = make_profile(tmp_path / "profile")
    variables = environment(profile, home) | {"DISPLAY": screen.display}
    program = gimp.console.with_name(gimp.console.name.replace("-console", ""))
    with Session(program, variables, tmp_path / "gimp.log") as session:
        image, layer = session.call("new_image", pixels=pixels, alpha=False, display=True)
        raw = session.call("raw", drawable=layer)
        window = screen.window("GIMP$")

        def layers() -> list[str]:
            return session.call("state", image=image)["layers"]

        def undo() -> None:
            screen.focus(window)
            screen.keys("ctrl+z")

        # The dialog, opened from the menu; the first style of the list and another strength are chosen with keys.
        screen.focus(window)
        screen.keys(*OPEN_THE_FILTER)
        dialog = screen.window(DIALOG)
        screen.focus(dialog, position=(300, 150))
        screen.shoot(artifacts / "filter-dialog.png")
        screen.keys("alt+y", "Home", "alt+g", "ctrl+a", "5", "0", "Tab")
        screen.shoot(artifacts / "filter-dialog-changed.png")
        screen.keys("alt+p")
        until(layers, ["Neural Style: Negative, 50 %", "photo"])
        screen.shoot(artifacts / "filter-new-layer.png")
        undo()
        until(layers, ["photo"])
        assert session.call("raw", drawable=layer) == raw

        # With last values: the style and the strength of the dialog.
        result = session.call("run", image=image, drawables=[layer], run_mode="WITH_LAST_VALS")
        assert result["status"] == "success"
        assert layers() == ["Neural Style: Negative, 50 %", "photo"]
        undo()
        until(layers, ["photo"])

        # In place, inside a selection: one step back, to the bit.
        session.call("select", image=image, rectangle=(50, 60, 200, 100))
        session.call("run", image=image, drawables=[layer], style="negative", output="in-place")
        assert session.call("raw", drawable=layer) != raw
        undo()
        until(lambda: session.call("raw", drawable=layer) == raw, True)

        # Cancel changes nothing.
        screen.keys(*OPEN_THE_FILTER)
        dialog = screen.window(DIALOG)
        screen.focus(dialog)
        screen.keys("Escape")
        until(lambda: filters(session), [])
        assert layers() == ["photo"]

        # Something is wrong: GIMP shows a message.
        (profile / "plug-ins" / "neural-style" / "installation.json").unlink()
        screen.focus(window)
        screen.keys(*OPEN_THE_FILTER)
        message = screen.window("^GIMP Message$")
        screen.focus(message, position=(300, 150))
        screen.shoot(artifacts / "filter-message.png")
        screen.keys("Return")


def filters(session: Session) -> list[str]:
    """The filter's processes that run in this GIMP."""
    children = psutil.Process(session.process.pid).children(recursive=True)
    return [line for child in children if "neural-style.py" in (line := " ".join(child.cmdline()))]


def until(ask: Callable[[], Any], expected: Any, seconds: float = 30) -> None:
    """Wait for an answer."""
    deadline = time.monotonic() + seconds
    while (answer := ask()) != expected:
        assert time.monotonic() < deadline, f"{answer}, and not {expected}"
        time.sleep(0.1)
