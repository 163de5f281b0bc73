"""How long the filter takes in a real GIMP: a run stage by stage, and a style chosen in its dialog until it is seen.

    PYTHON -m benchmarks.filter

PYTHON is that of the private environment (`python3 install.py where` names its folder), which needs nothing but the
fast path. The dialog is measured where there are Xvfb and xdotool, on the screen's own pixels.
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
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from PIL import Image

from nst_core.style_file import PREFIX
from plugin.engine.fast.fast_painting import padded_size, run_network
from plugin.engine.fast.fast_settings import FastSettings, working_size
from plugin.engine.fast.style_library import find_styles
from plugin.engine.imaging.resampling import resample_picture
from plugin.engine.machine import gimps as hosts
from plugin.engine.machine import paths
from plugin.engine.machine.provider import choose_provider, open_session
from plugin.engine.process import warm_worker
from tests.host.gimp import Screen, Session, environment, make_profile

SAMPLE = Path(__file__).parent.parent / "plugin" / "samples" / "coffee.jpg"
SIZE = 1732, 1155  # width and height of two megapixels
STYLE = "great-wave"
# With what settings and variables, and whether GIMP's Python is to be taken for one that cannot load the engine.
WAYS: dict[str, tuple[dict[str, Any], dict[str, str], bool]] = {
    "strokes relative to the picture": ({}, {}, False),
    "strokes at full resolution": ({"full_resolution": True}, {}, False),
    "as the first, GIMP's Python being another": ({}, {}, True),
    "as the first, with no engine that stays": ({}, {warm_worker.STAY_VARIABLE: "0"}, False),
    "as the third, with no engine that stays": ({}, {warm_worker.STAY_VARIABLE: "0"}, True),
}
WHOLE = "whole call"
NOT_OPEN, OPEN = "style of a file not opened before", "style of a file that is open"
# With the dialog in the screen's left upper corner: within the painted half of the preview.
PAINTED_PART = (300, 80, 440, 280)
LOOK_SECONDS, DRAWING_SECONDS = 0.005, 0.05  # between two looks at the screen, and until all of a change is there
STARTING, SETTLING, PATIENCE = 2.0, 10.0, 60.0  # seconds


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    gimp = next((gimp for gimp in hosts.find_gimps() if gimp.console), None)
    if gimp is None or Path(sys.prefix).resolve() != paths.environment_folder().resolve():
        sys.exit("filter: this needs GIMP 3 and the Python of the private environment; run install.py first.")
    with Image.open(SAMPLE) as sample:
        photo = np.asarray(sample.convert("RGBA").resize(SIZE), np.float32) / 255
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = copied_styles(folder / "home" / "styles", options.choices)[: 2 * options.choices]
        runs, bare = {}, {}
        for way, (settings, more, other_python) in WAYS.items():
            profile = make_profile(folder / way, other_python)
            variables = environment(profile, folder / "home") | more
            with Session(gimp.console, variables, folder / "gimp.log") as session:
                runs[way] = timed_runs(session, profile / "neural-style.log", photo, options.runs, settings)
            bare[way] = bare_inference(photo, options.runs, settings)
        print(f"GIMP {gimp.version}, {len(os.sched_getaffinity(0))} cores, {SIZE[0]} x {SIZE[1]} pixels\n")
        print(runs_table(runs, bare))
        if not all(map(shutil.which, ("Xvfb", "xdotool"))):
            print("The dialog was left out: it needs Xvfb and xdotool.")
            return
        program = gimp.console.with_name(gimp.console.name.replace("-console", ""))
        variables = environment(make_profile(folder / "dialog"), folder / "home")
        with (
            Screen() as screen,
            Session(program, variables | {"DISPLAY": screen.display}, folder / "gimp.log") as session,
        ):
            print(choices_table(list(timed_choices(session, screen, photo, files))))


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--runs", type=int, default=5, metavar="N", help="of each way, after the first (default 5)")
    found.add_argument("--choices", type=int, default=3, metavar="N", help="of each kind of style file (default 3)")
    return found


# ---- a run ------------------------------------------------------------------------------------------------------


def timed_runs(
    session: Session, log: Path, photo: np.ndarray, count: int, settings: Mapping[str, Any]
) -> list[dict[str, float]]:
    """Seconds by stage of a first run and ``count`` more: GIMP's own, those that the filter's log tells, the whole.

    After the first run an engine starts that stays; nobody is back before it is there.
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
    """Seconds by stage of the last run in the filter's log, which took ``whole`` as seen by its caller.

    What the caller saw beyond the filter's own time is GIMP's, which starts the process and waits for its end.
    """
    entry = re.findall(r"^Seconds: (.*)$", log, re.MULTILINE)[-1]
    told = {stage: float(seconds) for stage, seconds in (part.split() for part in entry.split(", "))}
    return {"GIMP": whole - told.pop("total")} | told | {WHOLE: whole}


def bare_inference(photo: np.ndarray, count: int, settings: Mapping[str, Any]) -> float:
    """The median of ``count`` runs of the network alone, after a first one, on what the filter shows it."""
    ((style, _),) = find_styles(STYLE).items()
    seen = working_size(*photo.shape[:2], FastSettings(**settings))
    seen = resample_picture(photo[..., :3], *padded_size(*seen, style))
    weights = np.eye(style.count, dtype=np.float32)[[style.index]]
    opened = open_session(style.path, choose_provider("auto", style.path))
    seconds = []
    for _ in range(count + 1):
        began = time.perf_counter()
        run_network(opened, seen, weights)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def runs_table(runs: Mapping[str, Sequence[Mapping[str, float]]], bare: Mapping[str, float]) -> str:
    """Seconds by stage: of the very first run, and of each way the later run that took the median time."""
    first, *_ = next(iter(runs.values()))
    later = {way: sorted(found[1:], key=lambda run: run[WHOLE])[len(found[1:]) // 2] for way, found in runs.items()}
    columns = [first, *later.values()]
    rows = [[stage, *(f"{column.get(stage, 0):.2f}" for column in columns)] for stage in first]
    rows.append(["all but inference", *(f"{column[WHOLE] - column['inference']:.2f}" for column in columns)])
    rows.append(["the network alone", "", *(f"{bare[way]:.2f}" for way in later)])
    rows.append(["1.3 times that, and 0.5", "", *(f"{1.3 * bare[way] + 0.5:.2f}" for way in later)])
    return table(["seconds", "first run", *(f"later run, {way}" for way in later)], rows)


# ---- a choice ---------------------------------------------------------------------------------------------------


def copied_styles(folder: Path, copies: int) -> list[Path]:
    """Copies of a bundled style file, whose styles lead the gallery. Returns the file of each of these styles in turn:
    every file once, and then, if it has several styles, each again.
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


def timed_choices(
    session: Session, screen: Screen, photo: np.ndarray, files: Sequence[Path]
) -> Iterator[tuple[str, float, float]]:
    """Choose the gallery's first styles, which are of these files, one after another by a key. Yields for each what its
    file is, and the seconds from the key until the screen shows the sketch and until it shows the final painting.
    """
    image, layer = session.call("new_image", pixels=photo, alpha=False, display=True)
    screen.window("GIMP$")
    session.start("run", image=image, drawables=[layer], run_mode="INTERACTIVE")
    screen.focus(screen.window("^Neural Style$"), position=(0, 0))
    time.sleep(SETTLING)
    for number, file in enumerate(files):
        seconds = changes(screen, "Right" if number else "Home", 2)
        yield OPEN if file in files[:number] else NOT_OPEN, *seconds
    screen.keys("Escape")
    session.answer()


def changes(screen: Screen, key: str, count: int) -> list[float]:
    """Seconds from pressing a key until each of the next ``count`` changes of the painting on the screen."""
    left, top, right, bottom = PAINTED_PART

    def look() -> bytes:
        return screen.seen[top:bottom, left:right].tobytes()

    last, began, seconds = look(), time.perf_counter(), []
    typist = threading.Thread(target=screen.keys, args=(key,))
    typist.start()
    while len(seconds) < count:
        time.sleep(LOOK_SECONDS)
        if look() != last:
            seconds.append(time.perf_counter() - began)
            time.sleep(DRAWING_SECONDS)
            last = look()
        if time.perf_counter() > began + PATIENCE:
            raise TimeoutError("the dialog's preview does not change")
    typist.join()
    return seconds


def choices_table(choices: Sequence[tuple[str, float, float]]) -> str:
    """Medians and the longest, by what the style's file is."""
    rows = []
    for kind in (NOT_OPEN, OPEN):
        sketches, paintings = ([choice[at] for choice in choices if choice[0] == kind] for at in (1, 2))
        if sketches:
            cells = (f"{statistics.median(seconds):.2f} ({max(seconds):.2f})" for seconds in (sketches, paintings))
            rows.append([kind, *cells])
    return table(["seconds until the screen shows, median (longest)", "the sketch", "the final painting"], rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)) + "\n"


if __name__ == "__main__":
    main()
