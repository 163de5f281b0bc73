"""Commands that are killed at random moments leave nothing damaged, and the next run leaves nothing over."""

import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_core.style_file import read_styles

pytestmark = [pytest.mark.slow, pytest.mark.nightly]
FILM_FRAMES = 120


@dataclass(frozen=True)
class Killed:
    """A command to kill: its arguments, how many times, and what its files must be if they are there, by name."""

    arguments: list[object]
    kills: int
    checks: dict[str, Callable[[Path], object]]


def check_picture(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def check_film(path: Path) -> None:
    from plugin.engine.film.clip_reading import read_clip

    assert read_clip(path).count == FILM_FRAMES


def make_film(path: Path) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(FILM_FRAMES):
            picture = np.full((48, 64, 3), 2 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def check_training(path: Path) -> None:
    from nst_core.fast.training_checkpoint import load_training

    load_training(path)


def check_render(path: Path) -> None:
    import torch

    assert torch.load(path, weights_only=True)["iteration"]


def check_table(path: Path) -> None:
    """Only the last row may be cut off."""
    rows = path.read_text().splitlines()
    assert len({row.count(",") for row in rows[:-1]}) <= 1


@pytest.fixture
def commands(sample, slim_weights, run):
    """The commands, by name. A new command that writes files belongs here."""
    features = ["--features", slim_weights]
    train = ["train", sample, *features, "--crop", 64, "--style-size", 64, "--width", 4, "--batch", 1]
    style = {"mine.onnx": read_styles, "mine.losses.csv": check_table, "mine.preview.jpg": check_picture}
    render = ["render", sample, "--style-image", sample, "-o", "o.png", *features, "--size", 64]
    return {
        "apply": Killed(["apply", sample, "--style", "great-wave", "-o", "o.png"], 20, {"o.png": check_picture}),
        "film": Killed(["apply", "made.mp4", "--style", "great-wave", "-o", "o.mp4"], 12, {"o.mp4": check_film}),
        "render": Killed(
            [*render, "--iterations", 40, "--checkpoint-every", 4],
            12,
            {"o.png": check_picture, "o.checkpoint": check_render, "o-*.png": check_picture},
        ),
        "train": Killed([*train, "-o", "mine.onnx", "--steps", 20], 10, {**style, "mine.checkpoint": check_training}),
        "export": Killed(["export", "made.checkpoint", "-o", "mine.onnx"], 8, style),
    }


@pytest.mark.parametrize("name", ["apply", "film", "render", "train", "export"])
def test_killed_command_damages_nothing_and_the_next_run_leaves_nothing_over(run, commands, record_property, name):
    killed, random_moment = commands[name], random.Random(name)
    if name == "export":
        assert run(*commands["train"].arguments[:-4], "-o", "made.onnx", "--steps", 1).returncode == 0
    if name == "film":
        make_film(run.folder / "made.mp4")
    start = time.monotonic()
    whole = run(*killed.arguments)
    length = time.monotonic() - start
    assert whole.returncode == 0, whole.stderr
    ended = sorted(path.name for path in run.folder.iterdir())
    for path in run.folder.iterdir():
        if not path.name.startswith("made"):
            path.unlink()
    hits = leftovers = 0
    for _ in range(killed.kills):
        process = run(*killed.arguments, start=True)
        try:
            process.wait(random_moment.uniform(0.2, 1.0) * length)
        except subprocess.TimeoutExpired:
            hits += 1
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for pattern, check in killed.checks.items():
            for path in run.folder.glob(pattern):
                check(path)
        leftovers = max(leftovers, len(list(run.folder.glob(".neural-style-*"))))
    done = run(*killed.arguments)
    assert done.returncode == 0, done.stderr
    record_property("kills", f"{hits} of {killed.kills} hit, at most {leftovers} temporary files between them")
    assert sorted(path.name for path in run.folder.iterdir()) == ended
