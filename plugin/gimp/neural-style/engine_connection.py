"""The filter's connection to the engine (see plugin/engine/api.py).

The engine runs in the first of these that is available: an idle warm worker; this process, if the private environment
was made for this version of Python; a new worker, started with that environment's own Python.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import installation
from translation import CATALOGUES

if TYPE_CHECKING:
    from plugin.engine.api import Engine
    from plugin.engine.process.remote import RemoteEngine

# The environment's packages that are ours.
SHARED_PACKAGES = ("nst_core", "plugin")


class EngineConnection:
    """One run's connection to the engine."""

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def begin(self) -> None:
        """Join the warm worker, or start a worker if one is needed, which starts while GIMP's libraries are imported.

        Errors are left to ``connect``.
        """
        with suppress(installation.InstallationError, ImportError, OSError):
            environment = installation.read()
            self._engine = _warm_engine(environment)
            if not _fits(environment):
                self.connect()

    def connect(self) -> Engine:
        """Return the engine. Raises InstallationError if it cannot be loaded."""
        if self._engine is None:
            environment = installation.read()
            try:
                self._engine = _local_engine(environment) if _fits(environment) else _started_engine(environment)
            except (ImportError, OSError) as error:
                raise environment.damaged(error) from error
        return self._engine

    def explain(self, error: Exception) -> Exception:
        """Return the error, or a clearer one if the engine's process ended because its Python was replaced."""
        from plugin.engine.process.remote import EngineEndedError

        if not isinstance(error, EngineEndedError) or (error.exit_code or 0) < 0:  # a signal says nothing of Python
            return error
        with suppress(installation.InstallationError, OSError, subprocess.SubprocessError):
            environment = installation.read()
            python = environment.find_python()
            if python and python != environment.python:
                return environment.replaced(python)
        return error

    def leave(self) -> None:
        """End the calls, and leave a warm worker to the next run."""
        # The run itself has succeeded or failed already, whatever happens here.
        with suppress(installation.InstallationError, ImportError, OSError):
            environment = installation.read()
            if self._engine is None or not _worker_name():
                return
            from plugin.engine.process.remote import RemoteEngine, start_warm_worker

            if isinstance(self._engine, RemoteEngine):
                self._engine.leave()
            else:
                start_warm_worker(_command(environment))


def _fits(environment: installation.Installation) -> bool:
    """Return whether this process's Python can load the environment's packages."""
    return environment.python == tuple(map(str, sys.version_info[:2]))


def _warm_engine(environment: installation.Installation) -> RemoteEngine | None:
    _find_packages(environment)
    name = _worker_name()
    if not name:
        return None
    from plugin.engine.process import warm_worker

    # Most runs find none, and need not import what talks to it.
    if not (worker := warm_worker.join_worker(name)):
        return None
    from plugin.engine.process.remote import joined_engine

    return joined_engine(worker)


def _local_engine(environment: installation.Installation) -> Engine:
    _find_packages(environment)
    from plugin.engine.service import LocalEngine

    return LocalEngine()


def _started_engine(environment: installation.Installation) -> Engine:
    _find_packages(environment)
    from plugin.engine.process.remote import start_worker

    return start_worker(_command(environment))


def _command(environment: installation.Installation) -> list[str | Path]:
    from plugin.engine.process.remote import worker_command

    return worker_command(environment.program, CATALOGUES, os.getppid(), _worker_name())


def _worker_name() -> str:
    """Return the name of this GIMP's warm worker; empty if none may stay. An update of the engine changes the name."""
    from plugin.engine.process import warm_worker

    if not warm_worker.stay_seconds():
        return ""
    return warm_worker.worker_name(os.getppid(), str(installation.RECORD.stat().st_mtime_ns))


def _find_packages(environment: installation.Installation) -> None:
    if _fits(environment):
        # After the script's own folder: no package must hide the modules beside this one.
        if str(environment.site_packages) not in sys.path:
            sys.path.insert(1, str(environment.site_packages))
        return
    # Only our packages: the filter uses modules of them that are written in Python. The environment's other packages
    # are compiled for another version, and must not hide those that this Python may have.
    for name in SHARED_PACKAGES:
        if name in sys.modules:
            continue
        folder = environment.site_packages / name
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"there is no package {folder}")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
