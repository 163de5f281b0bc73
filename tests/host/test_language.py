"""The filter in another language, in a real GIMP with a screen."""

from __future__ import annotations

from pathlib import Path

from tests.host.conftest import needed
from tests.host.filter_checks import AGAIN, FILTER, FOLDER, assert_refused, some_pixels, until
from tests.host.gimp import Screen, Session, environment, make_profile


def test_german(gimp, home, artifacts, tmp_path):
    for program in ("Xvfb", "xdotool", "scrot"):
        needed(program)
    with Screen() as screen:
        variables = environment(make_profile(tmp_path / "profile"), home)
        variables |= {"DISPLAY": screen.display, "LANGUAGE": "de"} | browser(tmp_path)
        program = gimp.console.with_name(gimp.console.name.replace("-console", ""))
        with Session(program, variables, tmp_path / "gimp.log") as session:
            photo = some_pixels(alpha=False).repeat(8, 0).repeat(8, 1)
            image, layer = session.call("new_image", pixels=photo, alpha=False, display=True)
            assert session.call("describe", procedure=AGAIN)["menu_label"] == "Neural Style: Erneut bear_beiten…"
            for procedure in (FILTER, AGAIN, FOLDER):
                found = session.call("describe", procedure=procedure)
                assert " zurück" in found["help"]
                assert found["arguments"]["strength"].endswith("0 ist das Foto (0 bis 100)")
            assert_refused(session.call("run", image=image, drawables=[layer], strength=101.0), "von 0 bis 100")
            assert_refused(session.call("run", image=image, drawables=[layer], style="xyzzy"), "Es gibt keinen Stil")

            session.start("run", image=image, drawables=[layer], run_mode="INTERACTIVE")
            screen.focus(screen.window("^Neural Style$"), position=(300, 150))
            screen.shoot(artifacts / "filter-dialog-german.png")
            screen.keys("alt+h")
            until(lambda: (tmp_path / "opened").is_file())
            opened = (tmp_path / "opened").read_text().strip().removeprefix("file://")
            page = tmp_path / "profile/plug-ins/neural-style/help/de/index.html"
            assert opened == str(page) and "Stil aus einem Bild" in page.read_text(encoding="utf-8")
            screen.keys("alt+b")
            screen.shoot(artifacts / "filter-style-picture-german.png")
            screen.keys("Escape")
            assert session.answer()["status"] == "cancel"


def browser(folder: Path) -> dict[str, str]:
    """Variables for a GIMP whose web browser writes the addresses that it is given into the file ``opened``."""
    program, applications = folder / "browser", folder / "share" / "applications"
    program.write_text(f'#!/bin/sh\necho "$@" >> "{folder}/opened"\n')
    program.chmod(0o755)
    applications.mkdir(parents=True)
    entry = f"[Desktop Entry]\nType=Application\nName=Browser\nExec={program} %u\nMimeType=text/html;\n"
    (applications / "browser.desktop").write_text(entry)
    (applications / "mimeapps.list").write_text("[Default Applications]\ntext/html=browser.desktop\n")
    return {"XDG_DATA_HOME": str(folder / "share")}
