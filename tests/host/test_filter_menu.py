"""Edit Again from GIMP's menu, Repeat and Re-Show, each undone in one step."""

from __future__ import annotations

import numpy as np

from tests.host.checks import negative, noise_pixels, pixels, raw_pixels, wait_until
from tests.host.desktop import AGAIN_TITLE, EDIT_AGAIN, IMAGE_TITLE

REPEAT, RESHOW, UNDO = ("ctrl+f",), ("ctrl+shift+f",), ("ctrl+z",)


def test_edit_again_repeat_reshow_and_undo(desktop, home):
    screen = desktop.screen
    with desktop.start_gimp(home) as session:
        photo = noise_pixels(alpha=False).repeat(8, 0).repeat(8, 1)
        image, layer = session.call("new_image", pixels=photo, alpha=False, display=True)
        raw, before, window = raw_pixels(session, layer), pixels(session, layer), screen.window(IMAGE_TITLE)

        def describe_image() -> dict:
            return session.call("describe_image", image=image)

        def press(*keys: str) -> None:
            screen.focus(window)
            screen.keys(*keys)

        def paint_with(*keys: str) -> None:
            screen.focus(screen.window(AGAIN_TITLE), position=(300, 150))
            desktop.save_screenshot("edit-again")
            screen.keys(*keys, "alt+p")

        def expect(strength: int, other_than: int) -> int:
            """Wait for a new painting as one of the image's two layers, and return its id."""
            names = [f"Neural Style: Negative, {strength} %", "photo"]

            def is_new(image: dict) -> bool:
                # GIMP also answers in the middle of the change.
                return image["layers"] == names and image["selected"] not in ([], [other_than])

            wait_until(lambda: is_new(describe_image()), explain=describe_image)
            (new,) = describe_image()["selected"]
            assert np.abs(pixels(session, new) - negative(before, strength / 100)).max() < 0.51 / 255
            return new

        first = session.call("run", image=image, drawables=[layer], style="negative", strength=25.0)["layer"]
        # The dialog starts with the painting's settings.
        press(*EDIT_AGAIN)
        paint_with()
        second = expect(25, other_than=first)
        press(*EDIT_AGAIN)
        paint_with("alt+g", "ctrl+a", "1", "0", "0", "Tab")
        third = expect(100, other_than=second)
        press(*UNDO)
        expect(25, other_than=third)
        # Repeat uses the values of the last dialog, Re-Show those of the painting.
        press(*REPEAT)
        fourth = expect(100, other_than=second)
        press(*UNDO)
        expect(25, other_than=fourth)
        press(*RESHOW)
        paint_with()
        expect(25, other_than=second)
        assert (raw_pixels(session, layer) == raw).all()
