"""The filter's place among GIMP's menus: Repeat, Re-Show, Edit Again, and undo in one step."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tests.host.conftest import needed
from tests.host.filter_checks import negative, pixels, raw_pixels, some_pixels, until
from tests.host.gimp import Screen, Session, environment, make_profile

DIALOG = "^Neural Style$"
HALF, WHOLE, QUARTER = (f"Neural Style: Negative, {strength} %" for strength in (50, 100, 25))


@pytest.fixture
def screen():
    for program in ("Xvfb", "xdotool"):
        needed(program)
    with Screen() as screen:
        yield screen


def test_repeat_show_again_edit_again_and_undo(gimp, screen, home, artifacts, tmp_path):
    variables = environment(make_profile(tmp_path / "profile"), home) | {"DISPLAY": screen.display}
    program = gimp.console.with_name(gimp.console.name.replace("-console", ""))
    with Session(program, variables, tmp_path / "gimp.log") as session:
        photo = np.repeat(np.repeat(some_pixels(alpha=False), 8, 0), 8, 1)
        image, layer = session.call("new_image", pixels=photo, alpha=False, display=True)
        raw, window = raw_pixels(session, layer), screen.window("GIMP$")

        def layers() -> list[str]:
            return session.call("state", image=image)["layers"]

        def expect(*names: str) -> None:
            until(lambda: layers() == [*names, "photo"], told=layers)

        def press(*keys: str) -> None:
            screen.focus(window)
            screen.keys(*keys)

        def answer(*keys: str) -> None:
            screen.focus(screen.window(DIALOG), position=(300, 150))
            screen.shoot(artifacts / f"debug-{len(list(artifacts.glob('debug*')))}.png")
            screen.keys(*keys[:-1])
            screen.shoot(artifacts / f"debug-{len(list(artifacts.glob('debug*')))}.png")
            screen.keys(*keys[-1:])
            screen.shoot(artifacts / f"debug-{len(list(artifacts.glob('debug*')))}.png")

        press("alt+r", "a", "n")  # Filters > Artistic > Neural Style…
        answer("alt+y", "Home", "alt+g", "ctrl+a", "5", "0", "Tab", "alt+p")
        expect(HALF)

        # Repeat, which paints the selected layer.
        session.call("select_layer", image=image, layer=layer)
        press("ctrl+f")
        time.sleep(15)
        screen.shoot(artifacts / "debug-repeat.png")
        expect(HALF, f"{HALF} #1")
        press("ctrl+z")
        expect(HALF)

        # Re-show, with the last values in the dialog.
        session.call("select_layer", image=image, layer=layer)
        press("ctrl+shift+f")
        answer("alt+p")
        expect(HALF, f"{HALF} #1")
        press("ctrl+z")
        expect(HALF)

        # The filter is used with another strength; the painting's own settings come back.
        result = session.call("run", image=image, drawables=[layer], style="negative", strength=25.0)
        expect(HALF, QUARTER)
        press("alt+r", "a", "d")  # Edit Again…
        screen.focus(screen.window(DIALOG), position=(300, 150))
        screen.shoot(artifacts / "edit-again.png")
        screen.keys("alt+p")
        until(lambda: session.call("state", image=image)["selected"] != [result["layer"]])
        expect(HALF, QUARTER)
        press("alt+r", "a", "d")
        answer("alt+g", "ctrl+a", "1", "0", "0", "Tab", "alt+p")
        expect(HALF, WHOLE)
        (new,) = session.call("state", image=image)["selected"]
        assert np.abs(pixels(session, new) - negative(photo)).max() < 0.51 / 255
        press("ctrl+z")
        expect(HALF, QUARTER)

        assert (raw_pixels(session, layer) == raw).all()
