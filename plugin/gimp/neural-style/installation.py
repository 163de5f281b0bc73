"""The private environment that install.py made, as it recorded it beside the filter."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from translation import _

FILTER_FOLDER = Path(__file__).resolve().parent
RECORD = FILTER_FOLDER / "installation.json"
REMEDY = _("run `python3 install.py` again")


class InstallationError(Exception):
    """The engine cannot be loaded. The text is one sentence that says what is wrong and what to do."""


@dataclass(frozen=True)
class Installation:
    """The private environment.

    Attributes:
        folder: the folder of the environment.
        python: the version of its Python, such as ("3", "13").
        program: its Python.
        site_packages: the folder with its packages.
    """

    folder: Path
    python: tuple[str, ...]
    program: Path
    site_packages: Path

    def find_python(self) -> tuple[str, ...]:
        """Return the version that its Python has now, after updates of the system. Raises OSError if it is gone."""
        code = "import sys; print(*sys.version_info[:2])"
        answer = subprocess.run([self.program, "-I", "-c", code], capture_output=True, text=True, timeout=30)
        return tuple(answer.stdout.split())

    def replaced(self, python: tuple[str, ...]) -> InstallationError:
        """Return the error to raise if its Python now has the version ``python``, for which it has no packages."""
        text = _("Neural Style was installed for Python {old}, and this system now has Python {new}; {remedy}.")
        return InstallationError(text.format(old=".".join(self.python), new=".".join(python), remedy=REMEDY))

    def damaged(self, error: Exception) -> InstallationError:
        """Return the error to raise if something in the environment does not work."""
        if self.program.is_symlink() and not self.program.exists():
            return InstallationError(
                _("Neural Style was installed for Python {old}, which is missing from this system; {remedy}.").format(
                    old=".".join(self.python), remedy=REMEDY
                )
            )
        return InstallationError(
            _("Neural Style's environment in {site_packages} is missing or damaged ({error}); {remedy}.").format(
                site_packages=self.site_packages, error=_reason(error), remedy=REMEDY
            )
        )


def read() -> Installation:
    """Return the environment that was recorded. Raises InstallationError if the record cannot be read."""
    try:
        record = json.loads(RECORD.read_text(encoding="utf-8"))
        version = tuple(str(record["python"]).split(".")[:2])
        program, site_packages = Path(record["program"]), Path(record["site_packages"])
        return Installation(Path(record.get("environment") or program.parents[1]), version, program, site_packages)
    except FileNotFoundError:
        raise InstallationError(
            _("Neural Style is not set up for this GIMP: {file} is missing; {remedy}.").format(
                file=RECORD, remedy=REMEDY
            )
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InstallationError(
            _("{file} cannot be read ({error}); {remedy}.").format(file=RECORD, error=_reason(error), remedy=REMEDY)
        ) from error


def _reason(error: Exception) -> str:
    """Return what went wrong in words, without numbers of errors."""
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    return f"{type(error).__name__}: {error}"
