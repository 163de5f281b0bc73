"""The menu beside the gallery's search, and style files that are dropped on the gallery."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx
import pytest

from nst_core.style_file import read_styles
from tests.host.checks import noise_pixels, wait_for_value, wait_until
from tests.host.desktop import Desktop, record_opener
from tests.host.test_dialog import search
from tests.style_files import dimming_style

managed = pytest.mark.parametrize("screen", [{"managed": True}], indirect=True)


@managed
def test_styles_are_added_renamed_shown_liked_and_removed(desktop, home, tmp_path):
    screen = desktop.screen
    shutil.copytree(home, tmp_path / "home")
    given, styles = tmp_path / "dimmer.onnx", tmp_path / "home" / "styles"
    own = styles / "dimmer.onnx"
    onnx.save(dimming_style(faithful=0.2, bold=0.8, detail=75), given)
    with desktop.start_gimp(tmp_path / "home", variables=record_opener(tmp_path)) as session:
        image, _ = session.call("new_image", pixels=noise_pixels().repeat(8, 0).repeat(8, 1), display=True)
        dialog = desktop.open_filter()
        drop_on_gallery(desktop, session, dialog, given)
        wait_until(own.is_file)

        # The dropped style is selected, so the menu is about it.
        choose(desktop, dialog, "b")
        desktop.save_screenshot("style-card")
        screen.keys("Escape")
        choose(desktop, dialog, "n")
        screen.keys("ctrl+a")
        screen.type("Dusk")
        screen.keys("Return")
        wait_for_value(lambda: read_styles(own)[0].title, "Dusk")
        choose(desktop, dialog, "f")
        favourites = tmp_path / "home" / "favourites.json"
        wait_until(favourites.is_file)
        assert json.loads(favourites.read_text()) == [read_styles(own)[0].name]
        choose(desktop, dialog, "o")
        wait_until((tmp_path / "opened").is_file)
        opened = (tmp_path / "opened").read_text().strip().removeprefix("file://")
        assert Path(opened) == styles
        desktop.save_screenshot("style-favourite")
        choose(desktop, dialog, "r")
        desktop.save_screenshot("style-remove")
        screen.keys("alt+o")
        wait_for_value(own.exists, False)
        assert (tmp_path / "share/Trash/files/dimmer.onnx").is_file()

        # The same file chosen rather than dropped; a second time it is refused, and nothing changes.
        for _time in range(2):
            choose(desktop, dialog, "a")
            screen.window("^Add a style$")
            screen.type("/")  # which opens a field for a path
            screen.keys("ctrl+a")
            screen.type(str(given))
            screen.keys("Return")
            wait_until(own.is_file)
        desktop.save_screenshot("style-refused")
        screen.keys("Escape")
        assert own.read_bytes() == given.read_bytes()
        search(desktop, "negative")
        choose(desktop, dialog, "s")
        screen.keys("alt+p")
        wait_for_value(lambda: len(session.call("describe_image", image=image)["layers"]), 2)
        assert "Negative" not in session.call("describe_image", image=image)["layers"][0]
    assert "Traceback" not in desktop.log.read_text()


def choose(desktop: Desktop, dialog: str, key: str) -> None:
    """Open the menu beside the search and press a key in it."""
    desktop.screen.focus(dialog)  # a window that just closed may still have the keyboard
    desktop.screen.keys("alt+f", "Tab", "space", key)


def drop_on_gallery(desktop: Desktop, session, dialog: str, file: Path) -> None:
    """Drag a file from a window of its own onto the gallery."""
    screen = desktop.screen
    session.start("drag_file", path=str(file), title="Drag")
    source = screen.window("^Drag$")
    screen.focus(source, position=(2, 700))
    left, top, width, _height = screen.place(dialog)
    x, y, *_ = screen.place(source)
    screen.drag((x + 30, y + 30), (left + width - 250, top + 250))
    assert session.answer()
