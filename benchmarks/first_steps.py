"""Time a new user's first steps in a real GIMP: the first painting, its first change, and the first style of their own.

    PYTHON -m benchmarks.first_steps

PYTHON is that of the private environment (`python3 install.py where` prints its folder). It needs Xvfb, xdotool and
xwininfo. Keys take the place of the mouse, so the seconds are those that the user waits, without those of the hand.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.filter import SIZE
from benchmarks.measuring.pictures import COFFEE
from benchmarks.measuring.record_files import markdown_table
from plugin.engine.machine import gimps, paths
from tests.host.desktop import AGAIN_TITLE, DIALOG_TITLE, EDIT_AGAIN, IMAGE_TITLE, OPEN_FILTER
from tests.host.gimp import Screen, Session, environment, make_profile

LONGEST_PAINTING, GLANCE_SECONDS = 300.0, 0.02
CHOOSER_TITLE = "^Choose a picture$"
# Clicks of the mouse: three open a dialog from the menu, one paints.
CLICKS = {
    "first painting": "5: menu (3), style, Paint",
    "first change of it": "5: menu (3), slider, Paint",
    "first style of one's own": "8: menu (3), Your own picture, button, file, Open, Paint",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and print its table."""
    gimp = next((gimp for gimp in gimps.find_gimps() if gimp.console), None)
    if gimp is None or gimp.console is None or Path(sys.prefix).resolve() != paths.environment_folder().resolve():
        sys.exit("first_steps: this needs GIMP 3 and the Python of the private environment; run install.py first.")
    if not all(map(shutil.which, ("Xvfb", "xdotool", "xwininfo"))):
        sys.exit("first_steps: this needs Xvfb, xdotool and xwininfo; install them first.")
    with Image.open(COFFEE) as sample:
        photo = np.asarray(sample.convert("RGBA").resize(SIZE), np.float32) / 255
    with tempfile.TemporaryDirectory() as name:
        rows = _steps_in_gimp(gimp.console, Path(name), photo)
    print(f"GIMP {gimp.version}, {SIZE[0]} x {SIZE[1]} pixels\n")
    print(markdown_table(["", "clicks", "seconds until the dialog is open", "seconds from Paint to the layer"], rows))


def _steps_in_gimp(console: Path, folder: Path, photo: np.ndarray) -> list[list[str]]:
    """Return the rows of the table."""
    program = console.with_name(console.name.replace("-console", ""))
    variables = environment(make_profile(folder / "profile"), folder / "home")
    picture = folder / "a.jpg"
    Image.fromarray((photo[..., 2::-1] * 255).astype(np.uint8)).save(picture)
    with (
        Screen() as screen,
        Session(program, variables | {"DISPLAY": screen.display}, folder / "gimp.log") as session,
    ):
        image, _layer = session.call("new_image", pixels=photo, alpha=False, display=True)

        def layers() -> list[str]:
            return list(session.call("describe_image", image=image)["layers"])

        def step(title: str, menu: Sequence[str], dialog: str, choose: Callable[[str], None]) -> list[str]:
            screen.focus(screen.window(IMAGE_TITLE))
            screen.keys(*menu[:-1])
            start = _press(screen, menu[-1])
            window = screen.window(dialog)
            opened = time.perf_counter() - start
            screen.focus(window, position=(100, 20))
            choose(window)
            before = layers()
            start = _press(screen, "alt+p")
            while layers() == before:
                if time.perf_counter() > start + LONGEST_PAINTING:
                    raise TimeoutError(f"there is no {title}")
                time.sleep(GLANCE_SECONDS)
            painted = time.perf_counter() - start
            return [title, CLICKS[title], f"{opened:.1f}", f"{painted:.1f}"]

        def choose_style(_window: str) -> None:
            screen.keys("alt+f")
            screen.type("scream")
            screen.keys("Return")

        def choose_strength(_window: str) -> None:
            screen.keys("alt+g", "ctrl+a", "5", "0", "Tab")

        def choose_picture(window: str) -> None:
            screen.keys("alt+w", "alt+i")
            screen.focus(screen.window(CHOOSER_TITLE))
            screen.type("/")  # which opens a field for a path
            screen.keys("ctrl+a")
            screen.type(str(picture))
            screen.keys("Return")
            screen.focus(window)

        choices = (
            (OPEN_FILTER, DIALOG_TITLE, choose_style),
            (EDIT_AGAIN, AGAIN_TITLE, choose_strength),
            (OPEN_FILTER, DIALOG_TITLE, choose_picture),
        )
        return [step(title, *choice) for title, choice in zip(CLICKS, choices, strict=True)]


def _press(screen: Screen, key: str) -> float:
    """Press a key in a thread, which rests afterwards, and return the time before."""
    start = time.perf_counter()
    threading.Thread(target=screen.keys, args=(key,)).start()
    return start


if __name__ == "__main__":
    main()
