"""Edit Again from GIMP's menu, Repeat and Re-Show, each undone in one step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.host.conftest import needed
from tests.host.filter_checks import negative, pixels, raw_pixels, some_pixels, until
from tests.host.gimp import Screen, Session, environment, make_profile

EDIT_AGAIN, REPEAT, SHOW_AGAIN, UNDO = ("alt+r", "a", "d"), ("ctrl+f",), ("ctrl+shift+f",), ("ctrl+z",)


@pytest.fixture
def screen() -> Iterator[Screen]:
    for program in ("Xvfb", "xdotool", "scrot"):
        needed(program)
    with Screen() as screen:
        yield screen


def test_edit_again_repeat_show_again_and_undo(gimp, screen, home, artifacts, tmp_path):
    variables = environment(make_profile(tmp_path / "profile"), home) | {"DISPLAY": screen.display}
    program = gimp.console.with_name(gimp.console.name.replace("-console", ""))
    with Session(program, variables, tmp_path / "gimp.log") as session:
        photo = some_pixels(alpha=False).repeat(8, 0).repeat(8, 1)
        image, layer = session.call("new_image", pixels=photo, alpha=False, display=True)
        raw, before, window = raw_pixels(session, layer), pixels(session, layer), screen.window("GIMP$")

        def state() -> dict:
            return session.call("state", image=image)

        def press(*keys: str) -> None:
            screen.focus(window)
            screen.keys(*keys)

        def answer(*keys: str) -> None:
            screen.focus(screen.window("^Neural Style$"), position=(300, 150))
            screen.shoot(artifacts / "edit-again.png")
            screen.keys(*keys, "alt+p")

        def expect(strength: int, other_than: int) -> int:
            """The id of the painting, once it is there, of the image's two layers."""
            names = [f"Neural Style: Negative, {strength} %", "photo"]
            # GIMP answers in the midst of the change, too.
            until(lambda: state()["layers"] == names and state()["selected"] not in ([], [other_than]), told=state)
            (new,) = state()["selected"]
            assert np.abs(pixels(session, new) - negative(before, strength / 100)).max() < 0.51 / 255
            return new

        first = session.call("run", image=image, drawables=[layer], style="negative", strength=25.0)["layer"]
        # The dialog begins with the painting's settings.
        press(*EDIT_AGAIN)
        answer()
        second = expect(25, other_than=first)
        press(*EDIT_AGAIN)
        answer("alt+g", "ctrl+a", "1", "0", "0", "Tab")
        third = expect(100, other_than=second)
        press(*UNDO)
        expect(25, other_than=third)
        # Repeat takes the values of the dialog, Re-Show those of the painting.
        press(*REPEAT)
        fourth = expect(100, other_than=second)
        press(*UNDO)
        expect(25, other_than=fourth)
        press(*SHOW_AGAIN)
        answer()
        expect(25, other_than=second)
        assert (raw_pixels(session, layer) == raw).all()
