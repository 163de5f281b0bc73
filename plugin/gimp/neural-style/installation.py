"""The private environment that install.py made, and whether the Python that GIMP started can load it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from language import _

FOLDER = Path(__file__).resolve().parent
RECORD = FOLDER / "installation.json"
REMEDY = _("run `python3 install.py` again")


class InstallationError(Exception):
    """The engine cannot be loaded. The text is one sentence: what is wrong and what to do."""


def connect() -> None:
    """Make the engine importable. Raises InstallationError if it is not there or belongs to another Python."""
    try:
        record = json.loads(RECORD.read_text(encoding="utf-8"))
        made_for, site_packages = str(record["python"]), Path(record["site_packages"])
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
    version = made_for.split(".")[:2]
    running = [str(part) for part in sys.version_info[:2]]
    if version != running:
        raise InstallationError(
            _("GIMP runs Python {running}, but Neural Style was installed for Python {other}; {remedy}.").format(
                running=".".join(running), other=".".join(version), remedy=REMEDY
            )
        )
    # After the script's own folder, so that no package can hide the modules beside this one.
    if str(site_packages) not in sys.path:
        sys.path.insert(1, str(site_packages))
    try:
        import plugin.engine.stylize  # noqa: F401
    except ImportError as error:
        raise InstallationError(
            _("Neural Style's environment in {site_packages} is missing or damaged ({error}); {remedy}.").format(
                site_packages=site_packages, error=error, remedy=REMEDY
            )
        ) from error
