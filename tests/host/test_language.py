"""The filter in another language, in a real GIMP with a screen."""

from __future__ import annotations

from tests.host.checks import AGAIN, FILTER, FOLDER, assert_refused, noise_pixels, wait_until
from tests.host.desktop import DIALOG_TITLE, record_opener


def test_texts_errors_and_help_are_german(desktop, home, tmp_path):
    screen = desktop.screen
    with desktop.start_gimp(home, variables={"LANGUAGE": "de"} | record_opener(tmp_path)) as session:
        photo = noise_pixels(alpha=False).repeat(8, 0).repeat(8, 1)
        image, layer = session.call("new_image", pixels=photo, alpha=False, display=True)
        assert session.call("describe_procedure", procedure=AGAIN)["menu_label"] == "Neural Style: Erneut bear_beiten…"
        for procedure in (FILTER, AGAIN, FOLDER):
            described = session.call("describe_procedure", procedure=procedure)
            assert " zurück" in described["help"]
            assert described["arguments"]["strength"].endswith("0 lässt das Foto unverändert (0 bis 100)")
        assert_refused(session.call("run", image=image, drawables=[layer], strength=101.0), "von 0 bis 100")
        assert_refused(session.call("run", image=image, drawables=[layer], style="xyzzy"), "Es gibt keinen Stil")

        painting = session.call("run", image=image, drawables=[layer], style="negative")["layer"]
        session.start("run", image=image, drawables=[painting], run_mode="INTERACTIVE")
        screen.focus(screen.window(DIALOG_TITLE), position=(300, 150))
        desktop.save_screenshot("filter-dialog-german")
        screen.keys("alt+h")
        wait_until(lambda: (tmp_path / "opened").is_file())
        opened = (tmp_path / "opened").read_text().strip().removeprefix("file://")
        page = desktop.profile / "plug-ins/neural-style/help/de/index.html"
        assert opened == str(page) and "Eigenes Bild" in page.read_text(encoding="utf-8")
        screen.keys("alt+b")
        desktop.save_screenshot("filter-style-picture-german")
        screen.keys("Escape")
        assert session.answer()["status"] == "cancel"
