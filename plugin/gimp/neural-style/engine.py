"""The engine: once it is connected, the functions of plugin/engine/service.py are to be had here.

    import engine
    engine.paint(...)

They run in this process if its Python is of the version that the private environment was made for, else in a process of
that environment's own Python.
"""

from __future__ import annotations

import importlib.util
import sys
from contextlib import suppress
from typing import Any

import installation
from language import CATALOGUES

# Those of the environment's packages that are ours.
PACKAGES = ("nst_core", "plugin")
_service: Any = None


def start() -> None:
    """Have the process of an engine that has one begin to start, which it does while GIMP's libraries are imported."""
    with suppress(installation.InstallationError):  # of which connect() tells
        if not _fits(installation.read()):
            connect()


def connect() -> None:
    """Make the engine callable. Raises InstallationError if it is not there."""
    global _service
    if _service is None:
        found = installation.read()
        try:
            _service = (_here if _fits(found) else _elsewhere)(found)
        except (ImportError, OSError) as error:
            raise found.damaged(error) from error


def __getattr__(name: str) -> Any:
    return getattr(_service, name)


def _fits(found: installation.Installation) -> bool:
    return found.python == tuple(map(str, sys.version_info[:2]))


def _here(found: installation.Installation) -> Any:
    # After the script's own folder, so that no package can hide the modules beside this one.
    if str(found.site_packages) not in sys.path:
        sys.path.insert(1, str(found.site_packages))
    from plugin.engine import service

    return service


def _elsewhere(found: installation.Installation) -> Any:
    # Our packages alone, of which the filter needs what is written in Python: the others there, which are compiled for
    # another version, must not be found in the place of those that this Python may have.
    for name in PACKAGES:
        folder = found.site_packages / name
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"there is no package {folder}")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    from plugin.engine.remote import Remote, worker_command

    return Remote(worker_command(found.program, CATALOGUES))
