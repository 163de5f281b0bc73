"""Time the filter in a real GIMP: a run stage by stage, and a style from its choice in the dialog until it is seen.

    PYTHON -m benchmarks.filter

PYTHON is that of the private environment (`python3 install.py where` prints its folder), which needs only the fast way.
The dialog is measured if Xvfb and xdotool are installed, by the pixels on the screen.
"""

from __future__ import annotations

import argparse
import json
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
import onnx
from PIL import Image

from benchmarks.measuring.pictures import COFFEE
from benchmarks.measuring.record_files import markdown_table
from nst_core.style_file import PREFIX
from plugin.engine.fast.fast_painting import padded_size, run_network
from plugin.engine.fast.fast_settings import FastSettings, working_size
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.resampling import resample_picture
from plugin.engine.machine import gimps, paths
from plugin.engine.machine.provider import choose_provider, open_session
from plugin.engine.process import warm_worker
from tests.host.gimp import Screen, Session, environment, make_profile

SIZE = 1732, 1155  # width and height of two megapixels
STYLE = "great-wave"
WHOLE = "whole call"
NOT_OPEN, OPEN = "style of a file not opened before", "style of an open file"
# Where the preview is painted: left, top, right, bottom on a screen with the dialog in the upper left corner.
PAINTED_PART = (300, 80, 440, 280)
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
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = copy_styles(folder / "home" / "styles", options.choices)[: 2 * options.choices]
        runs, inference_seconds = {}, {}
        for title, configuration in CONFIGURATIONS.items():
            runs[title] = _run_in_gimp(gimp.console, folder, photo, options.runs, configuration)
            inference_seconds[title] = _time_inference(photo, options.runs, configuration.settings)
        print(f"GIMP {gimp.version}, {len(os.sched_getaffinity(0))} cores, {SIZE[0]} x {SIZE[1]} pixels\n")
        print(runs_table(runs, inference_seconds) + "\n")
        if not all(map(shutil.which, ("Xvfb", "xdotool"))):
            print("The dialog was left out: it needs Xvfb and xdotool.")
            return
        print(choices_table(list(_choices_in_gimp(gimp.console, folder, photo, files))) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.filter",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--runs", type=int, default=5, metavar="N", help="of each configuration, after the first run (default 5)"
    )
    parser.add_argument("--choices", type=int, default=3, metavar="N", help="of each kind of style file (default 3)")
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


def _time_inference(photo: np.ndarray, count: int, settings: Mapping[str, Any]) -> float:
    """Return the median seconds of ``count`` runs of the network alone, after a first one, on the filter's input."""
    ((style, _),) = find_styles(STYLE).items()
    height, width = photo.shape[:2]
    working = working_size(height, width, FastSettings(**settings))
    picture = resample_picture(photo[..., :3], *padded_size(*working, style))
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


def copy_styles(folder: Path, copies: int) -> list[Path]:
    """Copy a bundled style file, with names that put its styles first in the gallery.

    Returns the file of each of these styles in the gallery's order: every file once and then, if it has several styles,
    each file again.
    """
    folder.mkdir(parents=True)
    model = onnx.load(min(paths.bundled_styles_folder().glob("*.onnx")))
    (entry,) = (entry for entry in model.metadata_props if entry.key == PREFIX + "styles")
    cards = json.loads(entry.value)
    files = [folder / f"{copy}.onnx" for copy in range(copies)]
    for file in files:
        names = [f"{index:03}-{file.stem}" for index in range(len(cards))]
        entry.value = json.dumps(
            [card | {"name": name, "title": name} for card, name in zip(cards, names, strict=True)]
        )
        onnx.save(model, file)
    return files * len(cards)


def _choices_in_gimp(
    console: Path, folder: Path, photo: np.ndarray, files: Sequence[Path]
) -> Iterator[tuple[str, float, float]]:
    """Start a GIMP on a screen of its own and time choices in the dialog."""
    program = console.with_name(console.name.replace("-console", ""))
    variables = environment(make_profile(folder / "dialog"), folder / "home")
    with (
        Screen() as screen,
        Session(program, variables | {"DISPLAY": screen.display}, folder / "gimp.log") as session,
    ):
        yield from _timed_choices(session, screen, photo, files)


def _timed_choices(
    session: Session, screen: Screen, photo: np.ndarray, files: Sequence[Path]
) -> Iterator[tuple[str, float, float]]:
    """Choose the gallery's first styles, which are in ``files``, one after another with a key.

    Yields for each choice the kind of its file, and the seconds from the key press until the screen shows the sketch
    and until it shows the final painting.
    """
    image, layer = session.call("new_image", pixels=photo, alpha=False, display=True)
    screen.window("GIMP$")
    session.start("run", image=image, drawables=[layer], run_mode="INTERACTIVE")
    screen.focus(screen.window("^Neural Style$"), position=(0, 0))
    time.sleep(SETTLING)
    for number, file in enumerate(files):
        sketch, painting = _seconds_to_changes(screen, "Right" if number else "Home", 2)
        yield OPEN if file in files[:number] else NOT_OPEN, sketch, painting
    screen.keys("Escape")
    session.answer()


def _seconds_to_changes(screen: Screen, key: str, count: int) -> list[float]:
    """Return the seconds from pressing a key until each of the next ``count`` changes of the painting on the screen.

    Raises TimeoutError if they do not come.
    """
    left, top, right, bottom = PAINTED_PART

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


def choices_table(choices: Sequence[tuple[str, float, float]]) -> str:
    """Format the median and the longest time for each kind of file."""
    rows = []
    for kind in (NOT_OPEN, OPEN):
        sketches = [sketch for chosen, sketch, _ in choices if chosen == kind]
        paintings = [painting for chosen, _, painting in choices if chosen == kind]
        if sketches:
            cells = (f"{statistics.median(seconds):.2f} ({max(seconds):.2f})" for seconds in (sketches, paintings))
            rows.append([kind, *cells])
    return markdown_table(
        ["seconds until the screen shows, median (longest)", "the sketch", "the final painting"], rows
    )


if __name__ == "__main__":
    main()
