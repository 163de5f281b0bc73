"""What install.py wrote down of the private environment that it made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from translation import _

FOLDER = Path(__file__).resolve().parent
RECORD = FOLDER / "installation.json"
REMEDY = _("run `python3 install.py` again")


class InstallationError(Exception):
    """The engine cannot be loaded. The text is one sentence: what is wrong and what to do."""


@dataclass(frozen=True)
class Installation:
    """The version of the environment's Python, such as ("3", "13"), its program, and where its packages are."""

    python: tuple[str, ...]
    program: Path
    site_packages: Path

    def damaged(self, error: object) -> InstallationError:
        """What to say if the environment does not do what it should."""
        return InstallationError(
            _("Neural Style's environment in {site_packages} is missing or damaged ({error}); {remedy}.").format(
                site_packages=self.site_packages, error=error, remedy=REMEDY
            )
        )


def read() -> Installation:
    """What was written down. Raises InstallationError if that cannot be read."""
    try:
        record = json.loads(RECORD.read_text(encoding="utf-8"))
        version = tuple(str(record["python"]).split(".")[:2])
        return Installation(version, Path(record["program"]), Path(record["site_packages"]))
    except FileNotFoundError:
        raise InstallationError(
            _("Neural Style is not set up for this GIMP: {file} is missing; {remedy}.").format(
                file=RECORD, remedy=REMEDY
            )
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InstallationError(
            _("{file} cannot be read ({error}); {remedy}.").format(
                file=RECORD, error=f"{type(error).__name__}: {error}", remedy=REMEDY
            )
        ) from error
