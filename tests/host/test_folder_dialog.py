"""The dialog that paints a folder, its progress and its report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from tests.host.checks import FOLDER, noise_pixels
from tests.style_files import dimming_style

TITLE, REPORT_TITLE = "Paint a Folder$", "Neural Style: Painted$"


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder with two pictures, one of them in a subfolder, and a file that is none; with an empty folder beside."""
    folder = tmp_path / "photos"
    (folder / "inner").mkdir(parents=True)
    (tmp_path / "paintings").mkdir()
    photo = Image.fromarray((noise_pixels(alpha=False)[..., :3] * 255).round().astype(np.uint8))
    photo.save(folder / "a.png")
    photo.save(folder / "inner/b.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_folder_procedure_is_in_the_menu(session):
    described = session.call("describe_procedure", procedure=FOLDER)
    assert described["menu_paths"] == ["<Image>/Filters/Artistic"]
    assert described["menu_label"].replace("_", "") == "Neural Style: Paint a Folder…"


def test_folder_is_painted_from_the_dialog_with_a_report(desktop, tmp_path, photos):
    paintings = photos.parent / "paintings"
    (tmp_path / "home" / "styles").mkdir(parents=True)
    onnx.save(dimming_style(faithful=0.2, bold=0.8, detail=75), tmp_path / "home" / "styles" / "dimmer.onnx")
    with desktop.start_gimp(tmp_path / "home") as session:
        session.start(
            "run_folder",
            run_mode="INTERACTIVE",
            folder=str(photos),
            output_folder=str(paintings),
            style="dimmer",
            subfolders=True,
        )
        dialog = desktop.screen.window(TITLE)
        desktop.screen.focus(dialog, position=(200, 60))
        desktop.screen.keys("alt+d", "ctrl+a", "5", "0", "Tab")
        desktop.save_screenshot("folder-dialog")
        desktop.screen.keys("alt+p")
        report = desktop.screen.window(REPORT_TITLE)
        desktop.screen.focus(report, position=(300, 200))
        desktop.save_screenshot("folder-report")
        desktop.screen.keys("alt+c")
        result = session.answer()
    assert result["status"] == "success", result["message"]
    assert result["painted"] == ["a.png", "inner/b.png"]
    assert len(result["failed"]) == 1 and "notes.txt" in result["failed"][0]
    with Image.open(photos / "a.png") as photo, Image.open(paintings / "a.png") as painting:
        difference = np.asarray(painting.convert("RGB"), float) - 0.5 * np.asarray(photo.convert("RGB"), float)
    assert np.abs(difference).max() <= 1.01


def test_cancelled_dialog_paints_nothing(desktop, home, photos):
    with desktop.start_gimp(home) as session:
        session.start("run_folder", run_mode="INTERACTIVE", style="negative")
        dialog = desktop.screen.window(TITLE)
        desktop.screen.focus(dialog, position=(200, 60))
        desktop.save_screenshot("folder-dialog-empty")
        desktop.screen.keys("Escape")
        assert session.answer()["status"] == "cancel"
    assert not any((photos.parent / "paintings").iterdir())
