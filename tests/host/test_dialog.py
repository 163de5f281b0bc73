"""The filter in a real GIMP with a screen: menu, dialog, last values, undo, and messages."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from pathlib import Path

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
from plugin.engine.imaging.compositing import composite
from plugin.engine.imaging.picture import Picture
from plugin.engine.instant.instant_painting import paint_instantly
from plugin.engine.instant.style_reading import read_style_picture
from tests.conftest import SAMPLES
from tests.host.checks import find_worker, wait_for_value, wait_until
from tests.host.desktop import DIALOG_TITLE, IMAGE_TITLE, OPEN_FILTER, Desktop
from tests.host.gimp import Session
from tests.style_files import dimming_style, negative_style

# The width of the dialog beside its preview: the column with the settings, and the margins.
PREVIEW_MARGINS = 426
LIGHT_THEME = "(theme-color-scheme light)\n"
IN_BOTH_PYTHONS = pytest.mark.parametrize("other_python", [False, True], ids=["in GIMP's Python", "in another one"])


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A photo that is small enough for the preview to show at its full size: [H, W, 4]."""
    with Image.open(SAMPLES / "chelsea.jpg") as photo:
        return np.dstack([np.array(photo), np.full(photo.size[::-1], 255)]).astype(np.float32) / 255


@pytest.fixture(scope="module")
def styles(tmp_path_factory, home) -> Path:
    """The folder of a user with six styles: the negative, a slow one, one with detail, and three in one file."""
    folder = tmp_path_factory.mktemp("collector")
    shutil.copytree(home / "styles", folder / "styles")
    onnx.save(slow_style(), folder / "styles" / "slow.onnx")
    onnx.save(dimming_style(faithful=0.2, bold=0.8, detail=75), folder / "styles" / "dimmer.onnx")
    write_three_styles(folder / "styles" / "three.onnx")
    return folder


def test_paint_last_values_undo_cancel_and_error(desktop, home, photo):
    screen = desktop.screen
    with desktop.start_gimp(home) as session:
        image, layer = session.call("new_image", pixels=photo, alpha=False, display=True)
        raw = session.call("raw_bytes", drawable=layer)
        window = screen.window(IMAGE_TITLE)

        def layers() -> list[str]:
            return session.call("describe_image", image=image)["layers"]

        def undo() -> None:
            screen.focus(window)
            screen.keys("ctrl+z")

        # The dialog, opened from the menu; the keyboard chooses a style and another strength.
        screen.focus(window)
        screen.keys(*OPEN_FILTER)
        screen.focus(screen.window(DIALOG_TITLE), position=(300, 150))
        desktop.save_screenshot("filter-dialog")
        screen.keys("alt+f")
        screen.type("negative")
        screen.keys("Return", "alt+g", "ctrl+a", "5", "0", "Tab")
        desktop.save_screenshot("filter-dialog-changed")
        screen.keys("alt+p")
        wait_for_value(layers, ["Neural Style: Negative, 50 %", "photo"])
        desktop.save_screenshot("filter-new-layer")
        undo()
        wait_for_value(layers, ["photo"])
        assert session.call("raw_bytes", drawable=layer) == raw

        # With last values: the style and the strength of the dialog.
        result = session.call("run", image=image, drawables=[layer], run_mode="WITH_LAST_VALS")
        assert result["status"] == "success"
        assert layers() == ["Neural Style: Negative, 50 %", "photo"]
        undo()
        wait_for_value(layers, ["photo"])

        # In place, inside a selection: one undo restores every bit.
        session.call("select", image=image, rectangle=(50, 60, 200, 100))
        session.call("run", image=image, drawables=[layer], style="negative", output="in-place")
        assert session.call("raw_bytes", drawable=layer) != raw
        undo()
        wait_for_value(lambda: session.call("raw_bytes", drawable=layer) == raw, True)

        check_regions(desktop, session, image, layer)
        screen.focus(window)

        # Cancel changes nothing.
        screen.keys(*OPEN_FILTER)
        screen.focus(screen.window(DIALOG_TITLE))
        close_dialog(desktop, session)
        assert layers() == ["photo"]

        screen.focus(window)
        check_error_window(desktop, session)
        assert layers() == ["photo"]


def test_filter_run_on_a_painting_paints_the_photo_again(desktop, home, photo):
    screen, negative = desktop.screen, photo.copy()
    negative[..., :3] = 1 - negative[..., :3]
    full, quarter = "Neural Style: Negative, 100 %", "Neural Style: Negative, 25 %"
    with desktop.start_gimp(home) as session:
        image, layer = session.call("new_image", pixels=photo, alpha=False, display=True)
        session.call("run", image=image, drawables=[layer], style="negative")

        def expect(names: list[str], painting: np.ndarray) -> None:
            """Wait for these layers, the first of them selected, with this painting."""
            wait_for_value(lambda: session.call("describe_image", image=image)["layers"], names)
            wait_for_value(lambda: len(session.call("describe_image", image=image)["selected"]), 1)
            (new,) = session.call("describe_image", image=image)["selected"]
            assert session.call("describe_layer", layer=new)["position"] == 0
            assert np.abs(session.call("pixels", drawable=new) - painting).max() <= 2.01 / 255

        # The selected layer is the painting; the dialog shows and paints the photo.
        desktop.open_filter()
        screen.keys("alt+f")
        screen.type("negative")
        screen.keys("Return")
        wait_for_value(lambda: find_preview(desktop, photo, negative, 0.5) is not None, True)
        desktop.save_screenshot("filter-on-a-painting")
        screen.keys("alt+g", "ctrl+a", "2", "5", "Tab", "alt+p")
        mixed = composite(Picture(photo), negative[..., :3], BlendSettings(25))
        expect([quarter, full, "photo"], mixed)

        screen.focus(screen.window(IMAGE_TITLE))
        screen.keys("ctrl+f")
        expect([f"{quarter} #1", quarter, full, "photo"], mixed)

        # The painting itself can be chosen too.
        desktop.open_filter()
        screen.keys("alt+t", "Down")
        wait_for_value(lambda: find_preview(desktop, mixed, None, 0.5) is not None, True)
        desktop.save_screenshot("filter-on-a-painting-itself")
        screen.keys("alt+g", "ctrl+a", "1", "0", "0", "Tab", "alt+p")
        twice = mixed.copy()
        twice[..., :3] = 1 - mixed[..., :3]
        expect([f"{full} #1", f"{quarter} #1", quarter, full, "photo"], twice)


def test_dialog_says_before_painting_what_prevents_it(desktop, home, photo):
    """The status says it, and Paint stays disabled for that time."""
    screen = desktop.screen
    with desktop.start_gimp(home, gimprc="(undo-levels 9)\n") as session:
        small = photo[:200, :300]
        image, layer = session.call("new_image", pixels=small, alpha=False, canvas=(600, 200), display=True)
        other = session.call("add_layer", image=image, pixels=small, name="other")
        session.call("select", image=image, rectangle=(400, 50, 100, 100))
        session.call("select_layers", image=image, layers=[layer, other])
        layers = session.call("describe_image", image=image)["layers"]
        desktop.open_filter()
        screen.keys("alt+f")
        screen.type("negative")
        screen.keys("Return", "alt+p")
        desktop.save_screenshot("filter-selection-elsewhere")
        assert filter_processes(session) and session.call("describe_image", image=image)["layers"] == layers
        # The selection, which the user can change meanwhile, no longer prevents it; a missing layer does.
        session.call("select_nothing", image=image)
        time.sleep(1.5)
        desktop.save_screenshot("filter-two-layers")
        session.call("remove", layer=other)
        time.sleep(1.5)
        screen.keys("alt+p")
        desktop.save_screenshot("filter-removed-layer")
        assert filter_processes(session) and session.call("describe_image", image=image)["layers"] == ["photo"]
        close_dialog(desktop, session)
        session.call("select_layers", image=image, layers=[layer])
        desktop.open_filter()
        screen.keys("alt+p")
        wait_for_value(lambda: len(session.call("describe_image", image=image)["layers"]), 2)
    assert "Traceback" not in desktop.log.read_text()


def test_removed_photo_is_not_replaced_by_its_painting(desktop, home, photo):
    with desktop.start_gimp(home) as session:
        image, layer = session.call("new_image", pixels=photo, alpha=False, display=True)
        painting = session.call("run", image=image, drawables=[layer], style="negative")["layer"]
        desktop.open_filter()
        session.call("remove", layer=layer)
        desktop.screen.keys("alt+p")
        desktop.save_screenshot("filter-removed-photo")
        close_dialog(desktop, session)
        described = session.call("describe_image", image=image)
        assert described["layers"] == ["Neural Style: Negative, 100 %"] and described["selected"] == [painting]


def check_error_window(desktop: Desktop, session: Session) -> None:
    """Break the installation: a window says what is wrong, and copies what a bug report needs."""
    (desktop.profile / "plug-ins" / "neural-style" / "installation.json").unlink()
    desktop.screen.keys(*OPEN_FILTER)
    desktop.screen.focus(desktop.screen.window(DIALOG_TITLE), position=(300, 150))
    desktop.screen.keys("alt+d")
    desktop.save_screenshot("filter-message")
    copied = session.call("clipboard")
    assert "GIMP 3." in copied and "installation.json is missing" in copied
    assert (desktop.profile / "neural-style.log").read_text().endswith(f"{copied}\n")
    close_dialog(desktop, session)


def test_gallery_search_and_preview_match_the_painting(desktop, styles, photo):
    screen = desktop.screen
    with desktop.start_gimp(styles) as session:
        image, _ = session.call("new_image", pixels=photo, alpha=False, display=True)
        desktop.open_filter()
        negative = photo.copy()
        negative[..., :3] = 1 - negative[..., :3]

        def wait_for_preview(painting: np.ndarray, split: float = 0.5) -> None:
            wait_for_value(lambda: find_preview(desktop, photo, painting, split) is not None, True)

        # Strength and colours mix the existing preview, without the network.
        search(desktop, "nobody neg")
        wait_for_preview(negative)
        # The selection, which the user may change meanwhile, limits it at once.
        height, width = photo.shape[:2]
        half = width // 2 + 35
        session.call("select", image=image, rectangle=(half, 0, width - half, height))
        wait_for_preview(np.hstack([photo[:, :half], negative[:, half:]]))
        session.call("select_nothing", image=image)
        wait_for_preview(negative)
        screen.keys("alt+g", "ctrl+a", "5", "0", "Tab")
        wait_for_preview(composite(Picture(photo), negative[..., :3], BlendSettings(50)))
        screen.keys("alt+k")
        wait_for_preview(composite(Picture(photo), negative[..., :3], BlendSettings(50, keep_colors=True)))

        # The line follows the mouse even while a style is being painted; choosing another style ends that painting.
        screen.keys("alt+k", "alt+g", "ctrl+a", "1", "0", "0", "Tab")
        wait_for_preview(negative)
        x, y = find_preview(desktop, photo, negative, 0.5)
        search(desktop, "slow")
        width = photo.shape[1]
        screen.drag((x + width // 2, y + 100), (x + round(width * 0.25), y + 90))
        wait_for_preview(negative, 0.25)

        # One of several styles in a file; the painting is what the preview shows.
        search(desktop, "second")
        path = styles / "styles" / "three.onnx"
        second = paint_fast(Picture(photo), {read_styles(path)[1]: 1.0}, FastSettings()).pixels
        wait_for_preview(second, 0.25)
        desktop.save_screenshot("filter-gallery")
        screen.keys("alt+p")
        expected_layers = ["Neural Style: The Second, 100 %", "photo"]
        wait_for_value(lambda: session.call("describe_image", image=image)["layers"], expected_layers)
        painted = session.call("describe_image", image=image)["selected"][0]
        assert np.abs(session.call("pixels", drawable=painted) - second).max() <= 1.01 / 255


def test_detail_begins_with_the_styles_own_and_is_kept(desktop, styles, photo):
    """The slider is disabled for styles without this setting, whose value it keeps; saved settings bring it back."""
    screen, file = desktop.screen, styles / "saved-settings.json"

    def saved_names() -> list[str]:
        return list(json.loads(file.read_text())["named"]) if file.is_file() else []

    with desktop.start_gimp(styles) as session:
        image, _ = session.call("new_image", pixels=photo, alpha=False, display=True)
        desktop.open_filter()

        def wait_for_factor(factor: float) -> None:
            dimmed = photo.copy()
            dimmed[..., :3] *= factor
            wait_for_value(lambda: find_preview(desktop, photo, dimmed, 0.5) is not None, True)

        search(desktop, "dimmer")
        wait_for_factor(0.35)
        screen.keys("alt+d", "ctrl+a", "5", "0", "Tab")
        wait_for_factor(0.5)
        name_settings(desktop, "s", "Half")
        wait_for_value(saved_names, ["Half"])
        name_settings(desktop, "n", "Half the light")
        wait_for_value(saved_names, ["Half the light"])
        search(desktop, "nobody neg")
        wait_for_value(lambda: find_preview(desktop, photo, inverted(photo), 0.5) is not None, True)
        search(desktop, "dimmer")
        wait_for_factor(0.5)
        screen.keys("alt+d", "ctrl+a", "0", "Tab")
        wait_for_factor(0.8)
        screen.keys("alt+s", "Home", "Return")
        wait_for_factor(0.5)
        screen.keys("alt+s")
        desktop.save_screenshot("filter-detail")
        screen.keys("d", "alt+o")
        wait_for_value(saved_names, [])
        screen.keys("alt+p")
        wait_for_value(lambda: len(session.call("describe_image", image=image)["layers"]), 2)
        painted = session.call("describe_image", image=image)["selected"][0]
        difference = session.call("pixels", drawable=painted)[..., :3] - 0.5 * photo[..., :3]
        assert np.abs(difference).max() <= 1.01 / 255
        assert session.call("recorded_settings", layer=painted)["detail"] == 50
        assert json.loads(file.read_text())["recent"][0] == {"style": "dimmer", "style-image": None}


def name_settings(desktop: Desktop, key: str, name: str) -> None:
    """Press a key in the menu of saved settings, and type a name."""
    desktop.screen.keys("alt+s", key, "ctrl+a")
    desktop.screen.type(name)
    desktop.screen.keys("Return")


def test_two_styles_are_mixed_by_the_dialog(desktop, styles, photo):
    screen = desktop.screen
    with desktop.start_gimp(styles) as session:
        image, _ = session.call("new_image", pixels=photo, alpha=False, display=True)
        dialog = desktop.open_filter()
        search(desktop, "second")
        screen.keys("alt+f", "ctrl+a")
        screen.type("painter")
        left, top, width, _height = screen.place(dialog)
        screen.click(left + width - 348, top + 142, key="ctrl")  # the first tile
        desktop.save_screenshot("filter-mixture")
        screen.keys("alt+p")
        wait_for_value(lambda: len(session.call("describe_image", image=image)["layers"]), 2)
        painted = session.call("describe_image", image=image)["selected"][0]
        record = session.call("recorded_settings", layer=painted)
        mixture = find_mixture(record["style"], styles)
        assert {style.title: share for style, share in mixture.items()} == {"The Second": 0.5, "The First": 0.5}
        expected = paint_fast(Picture(photo), mixture, FastSettings()).pixels
        assert np.abs(session.call("pixels", drawable=painted) - expected).max() <= 1.01 / 255


def find_mixture(text: str, home: Path) -> dict:
    """Return the styles of a mixture that this user has, with their shares."""
    names = dict(part.split(":") for part in text.split(","))
    library = {style.name: style for path in (home / "styles").glob("*.onnx") for style in read_styles(path)}
    return {library[name]: float(share) for name, share in names.items()}


def test_dialog_offers_style_files_with_names_in_latin_1(desktop, tmp_path, photo):
    latin = os.fsdecode("é".encode("latin-1"))
    styles = tmp_path / f"home {latin}" / "styles"
    styles.mkdir(parents=True)
    onnx.save(negative_style(), styles / f"{latin}.onnx")
    (styles / f"{latin}{latin}.onnx").write_bytes(b"no style")
    with desktop.start_gimp(styles.parent) as session:
        image, _ = session.call("new_image", pixels=photo, alpha=False, display=True)
        desktop.open_filter()
        desktop.screen.keys("alt+f")
        desktop.screen.type("negative")
        desktop.screen.keys("Return")
        desktop.save_screenshot("filter-names")
        desktop.screen.keys("alt+p")
        expected_layers = ["Neural Style: Negative, 100 %", "photo"]
        wait_for_value(lambda: session.call("describe_image", image=image)["layers"], expected_layers)
    assert "Traceback" not in desktop.log.read_text()


def test_preview_zooms_moves_and_compares(desktop, home):
    # No larger than what the network sees, so every pixel of the result is its own.
    screen, large = desktop.screen, large_photo(1000, 665)
    negative = inverted(large)
    with desktop.start_gimp(home) as session:
        session.call("new_image", pixels=large, alpha=False, display=True)
        dialog = desktop.open_filter()
        search(desktop, "negative")
        x, y = find_line(desktop, dialog)
        assert find_part(desktop, dialog, large, negative) is None  # it is shown reduced
        screen.scroll(x, y, 10)
        screen.scroll(x, y, -10)
        assert find_part(desktop, dialog, large, negative) is None

        # At 100 % every pixel is the result's; the part follows the mouse.
        screen.click(x, y)
        screen.keys("1")
        wait_for_value(lambda: find_part(desktop, dialog, large, negative) is not None, True)
        before = find_part(desktop, dialog, large, negative)
        screen.drag((x + 60, y), (x + 160, y + 20))
        wait_for_value(lambda: find_part(desktop, dialog, large, negative), (before[0] - 100, before[1] - 20))
        screen.keys("shift+Right")
        wait_for_value(lambda: (find_part(desktop, dialog, large, negative) or before)[0] > before[0], True)
        desktop.save_screenshot("filter-zoomed")

        # The photo is seen while the mouse button is down.
        screen.hold(x + 60, y)
        wait_for_value(lambda: find_part(desktop, dialog, large, large) is not None, True)
        screen.release()
        wait_for_value(lambda: find_part(desktop, dialog, large, negative) is not None, True)
        close_dialog(desktop, session)


@IN_BOTH_PYTHONS
def test_full_resolution_previews_a_chosen_part(desktop, home, other_python):
    screen, large = desktop.screen, large_photo(1353, 900)
    negative = inverted(large)
    with desktop.start_gimp(home, LIGHT_THEME, other_python) as session:
        session.call("new_image", pixels=large, alpha=False, display=True)
        dialog = desktop.open_filter()
        search(desktop, "negative")
        x, y = find_line(desktop, dialog)
        screen.keys("alt+n")
        wait_for_value(lambda: find_part(desktop, dialog, large, negative) is not None, True)
        before = find_part(desktop, dialog, large, negative)
        desktop.save_screenshot("filter-full-resolution")
        screen.drag((x + 60, y), (x + 160, y + 40))
        wait_for_value(lambda: find_part(desktop, dialog, large, negative), (before[0] - 100, before[1] - 40))
        if other_python:
            # Without its engine the dialog stays, and shows the photo that it has.
            find_worker(session).kill()
            screen.drag((x + 60, y), (x + 90, y))
            wait_for_value(lambda: find_part(desktop, dialog, large, negative), None)
            desktop.save_screenshot("filter-without-engine")
        screen.keys("alt+n")
        wait_for_value(lambda: find_part(desktop, dialog, large, negative), None)
        close_dialog(desktop, session)
    assert "Traceback" not in desktop.log.read_text()


@IN_BOTH_PYTHONS
def test_style_picture_is_painted_at_once_or_by_a_render(desktop, home, photo, tmp_path, other_python):
    pytest.importorskip("torch")
    shutil.copy(SAMPLES / "rocket.jpg", tmp_path / "a.jpg")
    screen = desktop.screen
    with desktop.start_gimp(home, LIGHT_THEME, other_python) as session:
        image, layer = session.call("new_image", pixels=photo, alpha=False, display=True)
        raw = session.call("raw_bytes", drawable=layer)

        def layers() -> list[str]:
            return session.call("describe_image", image=image)["layers"]

        dialog = desktop.open_filter()
        screen.keys("alt+w", "alt+i")
        screen.focus(screen.window("^Choose a picture$"))
        screen.type("/")  # which opens a field for a path
        time.sleep(1)
        screen.keys("ctrl+a")
        screen.type(str(tmp_path / "a.jpg"))
        screen.keys("Return")
        screen.focus(dialog)
        # The preview shows what is painted at once.
        styled = paint_instantly(Picture(photo), {read_style_picture(tmp_path / "a.jpg"): 1.0}).pixels
        wait_for_value(lambda: find_preview(desktop, photo, styled, 0.5) is not None, True)
        desktop.save_screenshot("filter-style-picture")
        screen.keys("alt+p")
        wait_for_value(layers, ["Neural Style: a, 100 %", "photo"])
        painted = session.call("describe_image", image=image)["selected"][0]
        assert np.abs(session.call("pixels", drawable=painted) - styled).max() <= 1.01 / 255
        screen.focus(screen.window(IMAGE_TITLE))
        screen.keys("ctrl+z")
        wait_for_value(layers, ["photo"])

        # The picture is remembered; a render is started instead.
        dialog = desktop.open_filter()
        wait_for_value(lambda: find_preview(desktop, photo, styled, 0.5) is not None, True)
        screen.keys("alt+q", "Down", "Down")
        screen.keys("alt+d", "alt+z", "ctrl+a", "6", "4", "Tab", "alt+t", "ctrl+a", "5", "0", "0", "0", "Tab")
        desktop.save_screenshot("filter-refined")
        screen.keys("alt+p")

        # The painting develops, and stopping keeps it.
        watch_render(desktop, photo)
        desktop.save_screenshot("filter-render")
        screen.keys("alt+s")
        wait_for_value(layers, ["Neural Style: a, 100 %", "photo"])
        wait_for_value(lambda: filter_processes(session), [])
        screen.focus(screen.window(IMAGE_TITLE))
        screen.keys("ctrl+z")
        wait_for_value(layers, ["photo"])

        # Once more with the last values, and cancelled.
        screen.keys(*OPEN_FILTER)
        screen.focus(screen.window(DIALOG_TITLE))
        screen.keys("alt+p")
        watch_render(desktop, photo)
        close_dialog(desktop, session)
        assert layers() == ["photo"]
        assert session.call("raw_bytes", drawable=layer) == raw


def watch_render(desktop: Desktop, photo: np.ndarray) -> None:
    """Wait until a painting develops beside the photo, and give its window the keyboard."""
    wait_for_value(lambda: find_preview(desktop, photo, None, 0.5) is not None, True)
    desktop.screen.focus(desktop.screen.window(DIALOG_TITLE))


def check_regions(desktop: Desktop, session: Session, image: int, layer: int) -> None:
    """Paint two regions, protect the selection, and undo that; then keep a region with the dialog."""
    screen, raw = desktop.screen, session.call("raw_bytes", drawable=layer)
    photo, window = session.call("pixels", drawable=layer), screen.window(IMAGE_TITLE)

    def layers() -> list[str]:
        return session.call("describe_image", image=image)["layers"]

    # A style in each of two channels and a protected selection, in one run: one undo removes it.
    height, width = photo.shape[:2]
    for name, rows in (("sky", slice(0, height // 2)), ("house", slice(height // 2, height))):
        mask = np.zeros((height, width), np.float32)
        mask[rows] = 1
        session.call("add_channel", image=image, name=name, values=mask)
    regions = {"regions": "channel:sky=starry-night\nchannel:house=udnie", "protect": "selection", "feather": 20}
    painted = session.call("run", image=image, drawables=[layer], **regions, output="layer")
    assert painted["status"] == "success", painted["message"]
    desktop.save_screenshot("filter-regions")
    screen.focus(window)
    screen.keys("ctrl+z")
    wait_for_value(layers, ["photo"])
    assert session.call("raw_bytes", drawable=layer) == raw

    # In the dialog, the first region is that of a channel, and stays a photo until a style is chosen.
    session.call("select_layers", image=image, layers=[layer])
    screen.focus(window)
    screen.keys(*OPEN_FILTER)
    screen.focus(screen.window(DIALOG_TITLE), position=(300, 20))
    screen.keys("alt+o", "alt+l")
    desktop.save_screenshot("filter-dialog-regions")
    screen.keys("alt+p")
    wait_for_value(lambda: len(layers()), 2)
    after = session.call("pixels", drawable=session.call("describe_image", image=image)["selected"][0])
    changes = np.abs(after - photo)[..., :3]
    assert changes[height // 2 :].max() < 0.51 / 255 and changes[: height // 2].max() > 0.1
    screen.focus(window)
    screen.keys("ctrl+z")
    wait_for_value(layers, ["photo"])


def close_dialog(desktop: Desktop, session: Session) -> None:
    """Cancel the focused dialog, and wait until the filter has ended."""
    desktop.screen.keys("Escape")
    wait_for_value(lambda: filter_processes(session), [])


def search(desktop: Desktop, words: str) -> None:
    """Choose the first style with these words."""
    desktop.screen.keys("alt+f", "ctrl+a")
    desktop.screen.type(words)
    desktop.screen.keys("Return")


def large_photo(width: int, height: int) -> np.ndarray:
    """Return a photo that is larger than the preview: [H, W, 4]."""
    with Image.open(SAMPLES / "chelsea.jpg") as opened:
        large = opened.convert("RGBA").resize((width, height), Image.Resampling.LANCZOS)
    return np.array(large).astype(np.float32) / 255


def inverted(picture: np.ndarray) -> np.ndarray:
    """Return the negative of a picture, [H, W, 4]."""
    return np.dstack([1 - picture[..., :3], picture[..., 3:]])


def screen_pixels(desktop: Desktop) -> np.ndarray:
    """Return what the screen shows: int [H, W, 3]."""
    file = desktop.folder / "screen.png"
    desktop.screen.shoot(file)
    with Image.open(file) as picture:
        return np.array(picture.convert("RGB")).astype(int)


def find_line(desktop: Desktop, dialog: str) -> tuple[int, int]:
    """Wait for the preview's line, and return a point on it."""
    left, top, width, _height = desktop.screen.place(dialog)
    y = top + 200

    def line() -> int | None:
        row = screen_pixels(desktop)[y, left : left + width].mean(axis=1)
        columns = np.flatnonzero((row[1:-1] == 240) & (row[:-2] == 30) & (row[2:] == 240))
        return None if len(columns) == 0 else left + int(columns[0]) + 2

    return wait_until(line), y


def find_part(desktop: Desktop, dialog: str, before: np.ndarray, after: np.ndarray) -> tuple[int, int] | None:
    """Return which pixel of the pictures the preview shows to the left of its line, or None if it shows others.

    The preview shows ``before`` there, at 100 %, and ``after`` to the right of the line.
    """
    left, top, width, _height = desktop.screen.place(dialog)
    shown = screen_pixels(desktop)
    x, y = left + (width - PREVIEW_MARGINS) // 2, top + 200
    first, second = shown[y : y + 12, x - 80 : x - 60], shown[y : y + 12, x + 60 : x + 80]
    pictures = to_bytes(before), to_bytes(after)
    for row, column in np.argwhere((np.abs(pictures[0] - first[0, 0]) <= 1).all(2)):
        parts = [
            picture[row : row + 12, start : start + 20]
            for picture, start in zip(pictures, (column, column + 140), strict=True)
        ]
        if all(
            part.shape == expected.shape and np.abs(part - expected).max() <= 1
            for part, expected in zip(parts, (first, second), strict=True)
        ):
            return int(column), int(row)
    return None


def find_preview(
    desktop: Desktop, before: np.ndarray, after: np.ndarray | None, split: float
) -> tuple[int, int] | None:
    """Return where the screen shows ``before`` to the left of the split and ``after`` to its right, or None.

    If ``after`` is None, any other picture may be to the right.
    """
    shown, first = screen_pixels(desktop), to_bytes(before)
    line, rows = round(split * first.shape[1]), slice(100, 130)
    left, right = slice(line - 60, line - 10), slice(line + 10, line + 60)
    for y, x in np.argwhere((shown == first[rows.start, left.start]).all(2)) - (rows.start, left.start):
        part = shown[max(0, y) :, max(0, x) :][: first.shape[0], : first.shape[1]]
        if min(x, y) < 0 or part.shape != first.shape or differs(part, first, rows, left):
            continue
        if differs(part, first, rows, right) if after is None else not differs(part, to_bytes(after), rows, right):
            return x, y
    return None


def to_bytes(picture: np.ndarray) -> np.ndarray:
    return np.round(np.clip(picture[..., :3], 0, 1) * 255).astype(int)


def differs(one: np.ndarray, other: np.ndarray, rows: slice, columns: slice) -> bool:
    """Return whether two pictures differ there by more than rounding."""
    return np.abs(one[rows, columns] - other[rows, columns]).max() > 1


def slow_style() -> onnx.ModelProto:
    """Return a style file that leaves the picture unchanged, after minutes of convolutions multiplied by zero."""
    model = negative_style()
    graph = model.graph
    del graph.node[:]
    random, values = np.random.default_rng(0), ["image"]
    for name, (inputs, outputs) in {"first": (3, 32), "inner": (32, 32), "last": (32, 3)}.items():
        weights = (random.random((outputs, inputs, 7, 7), np.float32) - 0.5) / inputs
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


def write_three_styles(path: Path) -> None:
    """Write a style file with the random styles The First, The Second and The Third."""
    torch = pytest.importorskip("torch")
    from export.to_onnx import export_styles
    from nst_core.base.training_settings import TrainSettings, TransformerSettings
    from nst_core.fast.training_checkpoint import TrainingCheckpoint
    from nst_core.fast.transformer import TransformerNetwork
    from nst_core.style_file import StyleCard

    torch.manual_seed(0)
    network = TransformerNetwork(TransformerSettings(width=4, residual_blocks=1, styles=3))
    for name, table in network.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(table, 0.5)
    settings = TrainSettings(network=network.settings)
    learned = TrainingCheckpoint(settings, 1, network, {}, "slim", ("ab",) * 3, 12, 0)
    cards = [StyleCard(f"The {name}", "A. Painter", "1900") for name in ("First", "Second", "Third")]
    with Image.open(SAMPLES / "chelsea.jpg") as sample:
        export_styles(learned, cards, np.array(sample), path)


def filter_processes(session: Session) -> list[str]:
    """Return the command lines of the filter's processes that this GIMP has started."""
    lines = []
    for child in psutil.Process(session.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may just have ended
            lines.append(" ".join(child.cmdline()))
    return [line for line in lines if "neural-style.py" in line]
