"""A virtual screen with a GIMP on it, for the tests that use the keyboard and the mouse."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plugin.engine.machine.gimps import Gimp
from tests.host.gimp import Screen, Session, environment, make_profile

DIALOG_TITLE = "^Neural Style$"
AGAIN_TITLE = "^Neural Style: Edit Again$"
IMAGE_TITLE = "GIMP$"
OPEN_FILTER = ("alt+r", "a", "n")  # Filters > Artistic > Neural Style…
EDIT_AGAIN = ("alt+r", "a", "d")  # Filters > Artistic > Neural Style: Edit Again…


@dataclass(frozen=True)
class Desktop:
    """A virtual screen, and the GIMP to start on it.

    Attributes:
        gimp: the GIMP.
        screen: the screen.
        folder: for the GIMP's profile and log.
        artifacts: for screenshots.
    """

    gimp: Gimp
    screen: Screen = field(repr=False)
    folder: Path
    artifacts: Path

    @property
    def profile(self) -> Path:
        """The profile of the GIMP that was started."""
        return self.folder / "profile"

    @property
    def log(self) -> Path:
        """The file with what GIMP prints."""
        return self.folder / "gimp.log"

    @contextlib.contextmanager
    def start_gimp(
        self, home: Path, gimprc: str = "", other_python: bool = False, variables: Mapping[str, str] | None = None
    ) -> Iterator[Session]:
        """Start GIMP with a fresh profile.

        Args:
            home: the folder of the user's styles.
            gimprc: lines to add to GIMP's settings.
            other_python: whether the filter believes that GIMP has another Python than its environment.
            variables: more environment variables.
        """
        make_profile(self.profile, other_python)
        with (self.profile / "gimprc").open("a") as settings:
            settings.write(gimprc)
        all_variables = environment(self.profile, home) | {"DISPLAY": self.screen.display} | dict(variables or {})
        console = Path(str(self.gimp.console))
        program = console.with_name(console.name.replace("-console", ""))
        with Session(program, all_variables, self.log) as session:
            yield session

    def open_filter(self, move: bool = True) -> str:
        """Open the filter's dialog from the menu and return its window, moved into view unless its place matters."""
        self.screen.focus(self.screen.window(IMAGE_TITLE))
        self.screen.keys(*OPEN_FILTER)
        dialog = self.screen.window(DIALOG_TITLE)
        self.screen.focus(dialog, position=(100, 20) if move else None)
        return dialog

    def save_screenshot(self, name: str) -> None:
        """Save what the screen shows as a PNG file among the artifacts."""
        self.screen.shoot(self.artifacts / f"{name}.png")


def record_opener(folder: Path) -> dict[str, str]:
    """Return variables for a GIMP that opens pages and folders by writing their addresses into the file ``opened``.

    The wastebasket is in ``folder`` too, as share/Trash.
    """
    program, applications = folder / "opener", folder / "share" / "applications"
    program.write_text(f'#!/bin/sh\necho "$@" >> "{folder}/opened"\n')
    program.chmod(0o755)
    applications.mkdir(parents=True)
    types = ("text/html", "inode/directory")
    entry = f"[Desktop Entry]\nType=Application\nName=Opener\nExec={program} %u\nMimeType={';'.join(types)};\n"
    (applications / "opener.desktop").write_text(entry)
    defaults = "".join(f"{type_}=opener.desktop\n" for type_ in types)
    (applications / "mimeapps.list").write_text(f"[Default Applications]\n{defaults}")
    return {"XDG_DATA_HOME": str(folder / "share")}
