"""Time the filter in a real GIMP: a run stage by stage, and a style from its choice in the dialog until it is seen.

    PYTHON -m benchmarks.filter

PYTHON is that of the private environment (`python3 install.py where` prints its folder); fast painting suffices.
The dialog is measured if Xvfb and xdotool are installed, by the pixels on the screen.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.measuring.pictures import COFFEE
from benchmarks.measuring.record_files import markdown_table
from plugin.engine.fast.fast_settings import FastSettings, working_size
from plugin.engine.fast.network_run import padded_size, run_network
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.resampling import resample_picture
from plugin.engine.machine import gimps, paths
from plugin.engine.machine.provider import choose_provider, open_session
from plugin.engine.process import warm_worker
from tests.host.gimp import Screen, Session, environment, make_profile

SIZE = 1732, 1155  # width and height of two megapixels
STYLE, LAST_STYLE = "great-wave", "woman-with-hat"
WHOLE = "whole call"
SKETCH_PIXELS = 160_000  # of LayerCopy, which the dialog uses
# The screen and the dialog on it: as it opens on a small screen, and filling a large one.
DIALOGS = {"1140 x 765": ((1280, 900), (1140, 765)), "1900 x 1060": ((1920, 1080), (1900, 1060))}
# The column beside the preview with the margins, and how far from the middle of the preview the painting is watched.
SIDE_WIDTH, NEAR, FAR = 426, 20, 120
LOOK_SECONDS, DRAWING_SECONDS = 0.005, 0.05  # between two looks at the screen; until a change is drawn completely
STARTING, SETTLING, PATIENCE = 2.0, 10.0, 60.0  # seconds


@dataclass(frozen=True)
class Configuration:
    """A way to run the filter.

    Attributes:
        settings: of the procedure.
        variables: of GIMP's environment.
        other_python: whether the filter believes that GIMP's Python cannot load the engine.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    other_python: bool = False


NO_WARM_WORKER = {warm_worker.STAY_VARIABLE: "0"}
CONFIGURATIONS = {
    "strokes relative to the picture": Configuration(),
    "strokes at full resolution": Configuration({"full_resolution": True}),
    "other Python": Configuration(other_python=True),
    "no warm worker": Configuration(variables=NO_WARM_WORKER),
    "no warm worker, other Python": Configuration(variables=NO_WARM_WORKER, other_python=True),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and print its tables."""
    options = _parser().parse_args(arguments)
    gimp = next((gimp for gimp in gimps.find_gimps() if gimp.console), None)
    if gimp is None or gimp.console is None or Path(sys.prefix).resolve() != paths.environment_folder().resolve():
        sys.exit("filter: this needs GIMP 3 and the Python of the private environment; run install.py first.")
    with Image.open(COFFEE) as sample:
        photo = np.asarray(sample.convert("RGBA").resize(SIZE), np.float32) / 255
    print(f"GIMP {gimp.version}, {len(os.sched_getaffinity(0))} cores, {SIZE[0]} x {SIZE[1]} pixels\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.runs:
            print(_timed_configurations(gimp.console, folder, photo, options.runs) + "\n")
        if not options.choices:
            return
        if not all(map(shutil.which, ("Xvfb", "xdotool", "xwininfo"))):
            print("The dialog was left out: it needs Xvfb, xdotool and xwininfo.")
            return
        choices = {
            title: list(_choices_in_gimp(gimp.console, folder, photo, options.choices, title)) for title in DIALOGS
        }
        print(choices_table(choices) + "\n")


def _timed_configurations(console: Path, folder: Path, photo: np.ndarray, count: int) -> str:
    """Return the table of the seconds by stage, for each configuration."""
    runs, inference_seconds = {}, {}
    for title, configuration in CONFIGURATIONS.items():
        runs[title] = _run_in_gimp(console, folder, photo, count, configuration)
        inference_seconds[title] = _time_inference(photo, count, FastSettings(**configuration.settings))
    return runs_table(runs, inference_seconds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.filter",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--runs", type=int, default=5, metavar="N", help="of each configuration, after the first (default 5, 0: none)"
    )
    parser.add_argument(
        "--choices", type=int, default=3, metavar="N", help="styles to choose in each dialog (default 3)"
    )
    return parser


# ---- a run ------------------------------------------------------------------------------------------------------


def _run_in_gimp(
    console: Path, folder: Path, photo: np.ndarray, count: int, configuration: Configuration
) -> list[dict[str, float]]:
    """Start a GIMP with a profile of its own and time the filter in it."""
    profile = make_profile(Path(tempfile.mkdtemp(dir=folder)) / "profile", configuration.other_python)
    variables = environment(profile, folder / "home") | configuration.variables
    with Session(console, variables, folder / "gimp.log") as session:
        return timed_runs(session, profile / "neural-style.log", photo, count, configuration.settings)


def timed_runs(
    session: Session, log: Path, photo: np.ndarray, count: int, settings: Mapping[str, Any]
) -> list[dict[str, float]]:
    """Return the seconds by stage of a first run and ``count`` more: GIMP's own, those in the filter's log, the whole.

    The first run starts a warm worker; the next one waits until it is ready, as a user would.
    """
    image, layer = session.call("new_image", pixels=photo, alpha=False)
    runs = []
    for _ in range(count + 1):
        done = session.call("run", image=image, drawables=[layer], style=STYLE, **settings)
        if done["status"] != "success":
            raise RuntimeError(done["message"])
        session.call("remove", layer=done["layer"])
        runs.append(stages(log.read_text(encoding="utf-8"), done["seconds"]))
        if len(runs) == 1:
            time.sleep(STARTING)
    session.call("delete", image=image)
    return runs


def stages(log: str, whole: float) -> dict[str, float]:
    """Return the seconds by stage of the last run in the filter's log, which took its caller ``whole`` seconds.

    The difference between ``whole`` and the filter's own time is GIMP's, which starts the process and waits for its
    end.
    """
    entry = re.findall(r"^Seconds: (.*)$", log, re.MULTILINE)[-1]
    logged = {stage: float(seconds) for stage, seconds in (part.split() for part in entry.split(", "))}
    return {"GIMP": whole - logged.pop("total")} | logged | {WHOLE: whole}


def _time_inference(photo: np.ndarray, count: int, settings: FastSettings) -> float:
    """Return the median seconds of ``count`` runs of the network alone, after a first one, on the filter's input."""
    height, width = photo.shape[:2]
    return _time_network(photo, count, working_size(height, width, settings))


def _time_network(photo: np.ndarray, count: int, size: tuple[int, int]) -> float:
    """Return the median seconds of ``count`` runs of the network alone at this size, after a first one."""
    ((style, _),) = find_styles(STYLE).items()
    picture = resample_picture(photo[..., :3], *padded_size(*size, style))
    weights = np.array([style.row_weights()], np.float32)
    session = open_session(style.path, choose_provider("auto", style.path))
    seconds = []
    for _ in range(count + 1):
        start = time.perf_counter()
        run_network(session, picture, weights)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def runs_table(runs: Mapping[str, Sequence[Mapping[str, float]]], inference_seconds: Mapping[str, float]) -> str:
    """Format the seconds by stage: of the very first run, and of each configuration's later run of median time."""
    first, *_ = next(iter(runs.values()))
    later = {title: _median_run(of_title[1:]) for title, of_title in runs.items()}
    columns = [first, *later.values()]
    rows = [[stage, *(f"{column.get(stage, 0):.2f}" for column in columns)] for stage in first]
    rows.append(["everything except inference", *(f"{column[WHOLE] - column['inference']:.2f}" for column in columns)])
    rows.append(["the network alone", "", *(f"{inference_seconds[title]:.2f}" for title in later)])
    rows.append(
        ["limit: 1.3 times that + 0.5", "", *(f"{1.3 * inference_seconds[title] + 0.5:.2f}" for title in later)]
    )
    return markdown_table(["seconds", "first run", *(f"later, {title}" for title in later)], rows)


def _median_run(runs: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    return sorted(runs, key=lambda run: run[WHOLE])[len(runs) // 2]


# ---- a choice ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """The seconds of a choice in the dialog.

    Attributes:
        sketch: from the key press until the screen shows the sketch.
        painting: from the key press until the screen shows the final painting.
        inference: of the network alone, at the sketch's size and at the painting's.
    """

    sketch: float
    painting: float
    inference: tuple[float, float]


def _choices_in_gimp(console: Path, folder: Path, photo: np.ndarray, count: int, title: str) -> Iterator[Choice]:
    """Start a GIMP on a screen of its own and time choices in one of the ``DIALOGS``."""
    program = console.with_name(console.name.replace("-console", ""))
    screen_size, dialog_size = DIALOGS[title]
    variables = environment(make_profile(folder / title), folder / "home")
    with (
        Screen(*screen_size) as screen,
        Session(program, variables | {"DISPLAY": screen.display}, folder / "gimp.log") as session,
    ):
        yield from _timed_choices(session, screen, photo, count, dialog_size)


def _timed_choices(
    session: Session, screen: Screen, photo: np.ndarray, count: int, size: tuple[int, int]
) -> Iterator[Choice]:
    """Choose the gallery's first styles one after another with a key; each has a file of its own.

    The network alone runs after each choice, so both meet the same neighbours on the machine.
    """
    image, layer = session.call("new_image", pixels=photo, alpha=False, display=True)
    screen.window("GIMP$")
    session.start("run", image=image, drawables=[layer], run_mode="INTERACTIVE", style=LAST_STYLE)
    dialog = screen.window("^Neural Style$")
    screen.focus(dialog, position=(0, 0))
    screen.resize(dialog, *size)
    time.sleep(SETTLING)
    middle_x, middle_y = (size[0] - SIDE_WIDTH) // 2, size[1] // 3
    watched = (middle_x + NEAR, middle_y - NEAR, middle_x + FAR, middle_y + FAR)
    height, width = photo.shape[:2]
    scale = (SKETCH_PIXELS / (height * width)) ** 0.5
    sizes = (round(height * scale), round(width * scale)), working_size(height, width, FastSettings())
    for number in range(count):
        sketch, painting = _seconds_to_changes(screen, watched, "Right" if number else "Home", 2)
        inference = _time_network(photo, 1, sizes[0]), _time_network(photo, 1, sizes[1])
        yield Choice(sketch, painting, inference)
    screen.keys("Escape")
    session.answer()


def _seconds_to_changes(screen: Screen, watched: tuple[int, int, int, int], key: str, count: int) -> list[float]:
    """Return the seconds from pressing a key until each of the next ``count`` changes of what is watched.

    ``watched`` is left, top, right, bottom on the screen. Raises TimeoutError if the changes do not come.
    """
    left, top, right, bottom = watched

    def look() -> bytes:
        return screen.seen[top:bottom, left:right].tobytes()

    last, start = look(), time.perf_counter()
    seconds: list[float] = []
    typist = threading.Thread(target=screen.keys, args=(key,))
    typist.start()
    while len(seconds) < count:
        time.sleep(LOOK_SECONDS)
        if look() != last:
            seconds.append(time.perf_counter() - start)
            time.sleep(DRAWING_SECONDS)
            last = look()
        if time.perf_counter() > start + PATIENCE:
            raise TimeoutError("the dialog's preview does not change")
    typist.join()
    return seconds


def choices_table(choices: Mapping[str, Sequence[Choice]]) -> str:
    """Format the median and the longest time in each dialog, with and without the network's own time."""
    rows = []
    for title, of_dialog in choices.items():
        columns = (
            [choice.sketch for choice in of_dialog],
            [choice.sketch - choice.inference[0] for choice in of_dialog],
            [choice.painting for choice in of_dialog],
            [choice.painting - sum(choice.inference) for choice in of_dialog],
        )
        rows.append([title, *(f"{statistics.median(seconds):.2f} ({max(seconds):.2f})" for seconds in columns)])
    heads = ("the sketch", "without inference", "the final painting", "without inference")
    return markdown_table(["dialog: seconds until the screen shows, median (longest)", *heads], rows)


if __name__ == "__main__":
    main()
