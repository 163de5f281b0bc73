"""The filter in a real GIMP with a screen: menu, dialog, last values, undo, and messages."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from nst_core.style_file import read_styles
from plugin.engine.fast.fast_painting import paint_fast
from plugin.engine.fast.fast_settings import FastSettings
from plugin.engine.imaging.blend_settings import BlendSettings
from plugin.engine.imaging.picture import Picture, composite
from plugin.engine.machine import gimps as hosts
from tests.conftest import SAMPLES
from tests.host.conftest import needed
from tests.host.filter_checks import worker
from tests.host.gimp import Screen, Session, environment, make_profile
from tests.style_files import negative_style

OPEN_THE_FILTER = ("alt+r", "a", "n")  # Filters > Artistic > Neural Style…
DIALOG = "^Neural Style$"


@pytest.fixture
def screen() -> Iterator[Screen]:
    for program in ("Xvfb", "xdotool", "scrot"):
        needed(program)
    with Screen() as screen:
        yield screen


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A photo small enough for the preview to show as it is: [H, W, 4]."""
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        return np.dstack([np.array(photo), np.full(photo.size[::-1], 255)]).astype(np.float32) / 255


@pytest.fixture(scope="module")
def styles(tmp_path_factory, home) -> Path:
    """The folder of a user with five styles: the negative, a slow one, and three in one file."""
    folder = tmp_path_factory.mktemp("collector")
    shutil.copytree(home / "styles", folder / "styles")
    onnx.save(slow_style(), folder / "styles" / "slow.onnx")
    three_styles(folder / "styles" / "three.onnx")
    return folder


def test_a_person_at_the_screen(gimp, screen, home, photo, artifacts, tmp_path):
    with at(screen, gimp, home, tmp_path) as session:
        image, layer = session.call("new_image", pixels=photo, alpha=False, display=True)
        raw = session.call("raw", drawable=layer)
        window = screen.window("GIMP$")

        def layers() -> list[str]:
            return session.call("state", image=image)["layers"]

        def undo() -> None:
            screen.focus(window)
            screen.keys("ctrl+z")

        # The dialog, opened from the menu; a style and another strength are chosen with keys.
        screen.focus(window)
        screen.keys(*OPEN_THE_FILTER)
        dialog = screen.window(DIALOG)
        screen.focus(dialog, position=(300, 150))
        screen.shoot(artifacts / "filter-dialog.png")
        screen.keys("alt+f")
        screen.type("negative")
        screen.keys("Return", "alt+g", "ctrl+a", "5", "0", "Tab")
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

        # Something is wrong: a window says what, and copies what a bug report needs.
        (tmp_path / "profile" / "plug-ins" / "neural-style" / "installation.json").unlink()
        screen.focus(window)
        screen.keys(*OPEN_THE_FILTER)
        screen.focus(screen.window(DIALOG), position=(300, 150))
        screen.keys("alt+d")
        screen.shoot(artifacts / "filter-message.png")
        copied = session.call("clipboard")
        assert "GIMP 3." in copied and "installation.json is missing" in copied
        assert (tmp_path / "profile" / "neural-style.log").read_text().endswith(f"{copied}\n")
        screen.keys("Escape")
        until(lambda: filters(session), [])
        assert layers() == ["photo"]


def test_the_gallery_and_the_preview(gimp, screen, styles, photo, artifacts, tmp_path):
    with at(screen, gimp, styles, tmp_path) as session:
        image, _ = session.call("new_image", pixels=photo, alpha=False, display=True)
        screen.focus(screen.window("GIMP$"))
        screen.keys(*OPEN_THE_FILTER)
        screen.focus(screen.window(DIALOG), position=(300, 100))
        negative = photo.copy()
        negative[..., :3] = 1 - negative[..., :3]

        def find(words: str) -> None:
            screen.keys("alt+f", "ctrl+a")
            screen.type(words)
            screen.keys("Return")

        def shows(painting: np.ndarray, split: float = 0.5) -> None:
            until(lambda: preview(screen, tmp_path, photo, painting, split) is not None, True)

        # Strength and colours, which need no network, mix what is there.
        find("nobody neg")
        shows(negative)
        screen.keys("alt+g", "ctrl+a", "5", "0", "Tab")
        shows(composite(Picture(photo), negative[..., :3], BlendSettings(50)))
        screen.keys("alt+k")
        shows(composite(Picture(photo), negative[..., :3], BlendSettings(50, keep_colors=True)))

        # The line goes where the mouse is, and does so while a style is being painted; the next style ends that.
        screen.keys("alt+k", "alt+g", "ctrl+a", "1", "0", "0", "Tab")
        shows(negative)
        x, y = preview(screen, tmp_path, photo, negative, 0.5)
        find("slow")
        screen.click(x + round(photo.shape[1] * 0.25), y + 100)
        shows(negative, 0.25)

        # A style of several in a file, and what the preview shows of it is what is painted.
        find("second")
        path = styles / "styles" / "three.onnx"
        second = paint_fast(Picture(photo), {read_styles(path)[1]: 1.0}, FastSettings()).pixels
        shows(second, 0.25)
        screen.shoot(artifacts / "filter-gallery.png")
        screen.keys("alt+p")
        until(lambda: session.call("state", image=image)["layers"], ["Neural Style: The Second, 100 %", "photo"])
        painted = session.call("state", image=image)["selected"][0]
        assert np.abs(session.call("pixels", drawable=painted) - second).max() <= 1.01 / 255


@pytest.mark.parametrize("other_python", [False, True], ids=["in GIMP's Python", "in another one"])
def test_a_part_of_a_large_photo_at_full_size(gimp, screen, home, artifacts, tmp_path, other_python):
    with Image.open(SAMPLES / "chelsea.jpg") as opened:
        large = np.array(opened.convert("RGBA").resize((1353, 900), Image.Resampling.LANCZOS)).astype(np.float32) / 255
    height, width = large.shape[:2]
    scale = (160_000 / (height * width)) ** 0.5
    height, width = round(height * scale), round(width * scale)

    def part(right: float) -> np.ndarray:
        """So many of its widths to the right of the middle."""
        x, y = round((large.shape[1] - width) / 2 + right * width), round((large.shape[0] - height) / 2)
        return large[y : y + height, x : x + width]

    with at(screen, gimp, home, tmp_path, "(theme-color-scheme light)\n", other_python) as session:
        session.call("new_image", pixels=large, alpha=False, display=True)
        screen.focus(screen.window("GIMP$"))
        screen.keys(*OPEN_THE_FILTER)
        screen.focus(screen.window(DIALOG), position=(300, 100))
        screen.shoot(artifacts / "filter-large-photo.png")
        screen.keys("alt+n")
        until(lambda: preview(screen, tmp_path, part(0), None, 0.5) is not None, True)
        screen.shoot(artifacts / "filter-full-resolution.png")
        # After the preview comes the small picture in which the part is chosen.
        x, y = preview(screen, tmp_path, part(0), None, 0.5)
        screen.click(x + width // 2, y + 50)
        screen.keys("Tab", "Right")
        screen.shoot(artifacts / "filter-other-part.png")
        until(lambda: preview(screen, tmp_path, part(0.5), None, 0.5) is not None, True)
        if other_python:
            # Without its engine the dialog stays, and shows the photo.
            worker(session).kill()
            screen.keys("Left")
            until(lambda: preview(screen, tmp_path, part(0.5), part(0.5), 0.5) is not None, True)
            screen.shoot(artifacts / "filter-without-engine.png")
        screen.keys("alt+n")
        until(lambda: preview(screen, tmp_path, part(0.5), None, 0.5), None)
        screen.keys("Escape")
        until(lambda: filters(session), [])
    assert "Traceback" not in (tmp_path / "gimp.log").read_text()


@pytest.mark.parametrize("other_python", [False, True], ids=["in GIMP's Python", "in another one"])
def test_a_render_is_watched(gimp, screen, home, photo, artifacts, tmp_path, other_python):
    pytest.importorskip("torch")
    shutil.copy(SAMPLES / "rocket.jpg", tmp_path / "a.jpg")
    with at(screen, gimp, home, tmp_path, "(theme-color-scheme light)\n", other_python) as session:
        image, layer = session.call("new_image", pixels=photo, alpha=False, display=True)
        raw = session.call("raw", drawable=layer)
        window = screen.window("GIMP$")

        def layers() -> list[str]:
            return session.call("state", image=image)["layers"]

        screen.focus(window)
        screen.keys(*OPEN_THE_FILTER)
        dialog = screen.window(DIALOG)
        screen.focus(dialog, position=(300, 100))
        screen.keys("alt+m", "alt+i", "space")
        screen.focus(screen.window("^Select a File$"))
        screen.type(str(tmp_path / "a.jpg"))
        screen.keys("Return")
        screen.focus(dialog)
        screen.keys("alt+d", "alt+z", "ctrl+a", "6", "4", "Tab", "alt+t", "ctrl+a", "5", "0", "0", "0", "Tab")
        screen.shoot(artifacts / "filter-style-picture.png")
        screen.keys("alt+p")

        # It develops, and is kept as it is when it is stopped.
        watch_a_render(screen, tmp_path, photo)
        screen.shoot(artifacts / "filter-render.png")
        screen.keys("alt+s")
        until(layers, ["Neural Style: a, 100 %", "photo"])
        until(lambda: filters(session), [])
        screen.focus(window)
        screen.keys("ctrl+z")
        until(layers, ["photo"])

        # Once more with the last values, and cancelled.
        screen.keys(*OPEN_THE_FILTER)
        screen.focus(screen.window(DIALOG))
        screen.keys("alt+p")
        watch_a_render(screen, tmp_path, photo)
        screen.keys("Escape")
        until(lambda: filters(session), [])
        assert layers() == ["photo"]
        assert session.call("raw", drawable=layer) == raw


def watch_a_render(screen: Screen, folder: Path, photo: np.ndarray) -> None:
    """Wait until a painting develops beside the photo, and type into its window from now on."""
    until(lambda: preview(screen, folder, photo, None, 0.5) is not None, True)
    screen.focus(screen.window(DIALOG))


@contextlib.contextmanager
def at(
    screen: Screen, gimp: hosts.Gimp, home: Path, folder: Path, gimprc: str = "", other_python: bool = False
) -> Iterator[Session]:
    """A GIMP with a fresh profile, and this in its gimprc, on the screen."""
    profile = make_profile(folder / "profile", other_python)
    with (profile / "gimprc").open("a") as settings:
        settings.write(gimprc)
    variables = environment(profile, home) | {"DISPLAY": screen.display}
    program = gimp.console.with_name(gimp.console.name.replace("-console", ""))
    with Session(program, variables, folder / "gimp.log") as session:
        yield session


def preview(
    screen: Screen, folder: Path, before: np.ndarray, after: np.ndarray | None, split: float
) -> tuple[int, int] | None:
    """Where on the screen the first picture is shown, and from the split on the second, or with None any other one.

    None if that is nowhere.
    """
    file = folder / "screen.png"
    screen.shoot(file)
    with Image.open(file) as picture:
        shown = np.array(picture.convert("RGB")).astype(int)
    first = as_bytes(before)
    line, rows = round(split * first.shape[1]), slice(100, 130)
    left, right = slice(line - 60, line - 10), slice(line + 10, line + 60)
    for y, x in np.argwhere((shown == first[rows.start, left.start]).all(2)) - (rows.start, left.start):
        part = shown[max(0, y) :, max(0, x) :][: first.shape[0], : first.shape[1]]
        if min(x, y) < 0 or part.shape != first.shape or differs(part, first, rows, left):
            continue
        if differs(part, first, rows, right) if after is None else not differs(part, as_bytes(after), rows, right):
            return x, y
    return None


def as_bytes(picture: np.ndarray) -> np.ndarray:
    return np.round(np.clip(picture[..., :3], 0, 1) * 255).astype(int)


def differs(one: np.ndarray, other: np.ndarray, rows: slice, columns: slice) -> bool:
    """By more than rounding."""
    return np.abs(one[rows, columns] - other[rows, columns]).max() > 1


def slow_style() -> onnx.ModelProto:
    """A style file that leaves the picture as it is, after minutes of convolutions that come to nothing."""
    model = negative_style()
    graph = model.graph
    del graph.node[:]
    random, values = np.random.default_rng(0), ["image"]
    for name, (into, out) in {"first": (3, 32), "inner": (32, 32), "last": (32, 3)}.items():
        weights = (random.random((out, into, 7, 7), np.float32) - 0.5) / into
        graph.initializer.append(numpy_helper.from_array(weights, name))
    for name in ("first", *["inner"] * 1000, "last"):
        values.append(f"value{len(values)}")
        graph.node.append(helper.make_node("Conv", [values[-2], name], [values[-1]], pads=[3, 3, 3, 3]))
    graph.initializer.append(helper.make_tensor("nothing", TensorProto.FLOAT, [], [0.0]))
    graph.node.append(helper.make_node("Mul", [values[-1], "nothing"], ["zero"]))
    graph.node.append(helper.make_node("Add", ["image", "zero"], ["styled"]))
    for entry in model.metadata_props:
        if entry.key == "neural_style.styles":
            entry.value = entry.value.replace("negative", "slow").replace("Negative", "Slow")
        if entry.key == "neural_style.bytes_per_pixel":
            entry.value = "1000"
    return model


def three_styles(path: Path) -> None:
    """A style file with the random styles The First, The Second and The Third."""
    torch = pytest.importorskip("torch")
    from export.to_onnx import export_styles
    from nst_core.base.training_settings import TrainSettings, TransformerSettings
    from nst_core.fast.train import Checkpoint
    from nst_core.fast.transformer import TransformerNetwork
    from nst_core.style_file import StyleCard

    torch.manual_seed(0)
    network = TransformerNetwork(TransformerSettings(width=4, residual_blocks=1, styles=3))
    for name, table in network.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(table, 0.5)
    settings = TrainSettings(network=network.settings)
    learned = Checkpoint(settings, 1, network, {}, "slim", ("ab",) * 3, 12, 0)
    cards = [StyleCard(f"The {name}", "A. Painter", "1900") for name in ("First", "Second", "Third")]
    with Image.open(SAMPLES / "chelsea.jpg") as sample:
        export_styles(learned, cards, np.array(sample), path)


def filters(session: Session) -> list[str]:
    """The filter's processes that run in this GIMP."""
    lines = []
    for child in psutil.Process(session.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may have ended just now
            lines.append(" ".join(child.cmdline()))
    return [line for line in lines if "neural-style.py" in line]


def until(ask: Callable[[], Any], expected: Any, seconds: float = 180) -> None:
    """Wait for an answer."""
    deadline = time.monotonic() + seconds
    while (answer := ask()) != expected:
        assert time.monotonic() < deadline, f"{answer}, and not {expected}"
        time.sleep(0.1)
