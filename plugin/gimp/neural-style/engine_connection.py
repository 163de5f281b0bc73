"""The engine: once it is connected, the functions of plugin/engine/service.py are to be had here.

    import engine_connection as engine
    engine.paint(...)

They run in the process that stayed after the last run, if there is one and it is idle; else in this process if its
Python is of the version that the private environment was made for; else in a new process of that environment's own
Python.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import installation
from translation import CATALOGUES

# Those of the environment's packages that are ours.
PACKAGES = ("nst_core", "plugin")
_service: Any = None


def start() -> None:
    """Reach the engine that stayed, or have the process of an engine that has one begin to start, which it does while
    GIMP's libraries are imported.
    """
    global _service
    with suppress(installation.InstallationError, ImportError, OSError):  # of which connect() tells
        found = installation.read()
        _service = _stayed(found)
        if not _fits(found):
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


def leave() -> None:
    """There will be no more calls: leave an engine that stays for a while to the next run."""
    # The run itself is done, whatever becomes of this.
    with suppress(installation.InstallationError, ImportError, OSError):
        found = installation.read()
        if _service is None or not _name(found):
            return
        from plugin.engine.process import remote

        if isinstance(_service, remote.Remote):
            _service.leave()
        else:
            remote.leave_one(_command(found))


def __getattr__(name: str) -> Any:
    return getattr(_service, name)


def _fits(found: installation.Installation) -> bool:
    return found.python == tuple(map(str, sys.version_info[:2]))


def _stayed(found: installation.Installation) -> Any:
    _find_packages(found)
    name = _name(found)
    if not name:
        return None
    from plugin.engine.process import warm_worker as staying

    if not (stayed := staying.join(name)):
        return None
    from plugin.engine.process import remote

    return remote.joined(stayed)


def _here(found: installation.Installation) -> Any:
    _find_packages(found)
    from plugin.engine import service

    return service


def _elsewhere(found: installation.Installation) -> Any:
    _find_packages(found)
    from plugin.engine.process import remote

    return remote.start(_command(found))


def _command(found: installation.Installation) -> list[str | Path]:
    from plugin.engine.process import remote

    return remote.worker_command(found.program, CATALOGUES, os.getppid(), _name(found))


def _name(found: installation.Installation) -> str:
    """That of the engine which stays for this GIMP, as long as it is not installed anew; empty if none is to stay."""
    from plugin.engine.process import warm_worker as staying

    return staying.name(os.getppid(), str(installation.RECORD.stat().st_mtime_ns)) if staying.seconds() else ""


def _find_packages(found: installation.Installation) -> None:
    if _fits(found):
        # After the script's own folder, so that no package can hide the modules beside this one.
        if str(found.site_packages) not in sys.path:
            sys.path.insert(1, str(found.site_packages))
        return
    # Our packages alone, of which the filter needs what is written in Python: the others there, which are compiled for
    # another version, must not be found in the place of those that this Python may have.
    for name in PACKAGES:
        if name in sys.modules:
            continue
        folder = found.site_packages / name
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"there is no package {folder}")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
