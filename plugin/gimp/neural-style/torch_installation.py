"""Add PyTorch to the private environment, in a process of its own. Needs the engine to be connected."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from installation import Installation
from translation import _

from nst_core.base.errors import StyleError
from plugin.engine.machine.nvidia import nvidia_driver
from plugin.engine.process.remote import worker_environment
from plugin.engine.progress import Progress, ProgressCallback

INSTALLER = "install.py"


def download_size() -> str:
    """Return about how much has to be fetched."""
    return _("3 GB") if nvidia_driver() else _("200 MB")


class TorchInstallation:
    """One run of the installer's copy in the environment."""

    def __init__(self, environment: Installation) -> None:
        folder = environment.folder / "installer"
        # The installer finds the environment by this variable, wherever the filter's own variables point.
        variables = worker_environment(os.environ) | {"NEURAL_STYLE_HOME": str(environment.folder.parent)}
        command: list[str | Path] = [environment.program, "-I", folder / INSTALLER, "add-torch"]
        if not (folder / INSTALLER).is_file():
            text = _("The installer is missing in {folder}; run `python3 install.py torch` in Neural Style's folder.")
            raise StyleError(text.format(folder=folder))
        # In a group of its own, so pip ends with it.
        self._process = subprocess.Popen(
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=sys.platform != "win32",
        )

    def follow(self, progress: ProgressCallback) -> None:
        """Report the progress until the installation has ended. Raises StyleError if it has failed."""
        stage, last = _("Starting"), ""
        progress(Progress(stage, 0.0))
        for line in self._process.stdout or ():
            if fetched := re.match(r"Progress (\d+) of (\d+)", line):
                done, whole = map(int, fetched.groups())
                progress(Progress(stage, done / max(whole, 1)))
            elif line.strip():
                last = stage = line.strip()
                progress(Progress(stage, 0.0))
        if self._process.wait():
            raise StyleError(last.removeprefix(f"{INSTALLER}: ") or _("it did not say why"))
        importlib.invalidate_caches()

    def stop(self) -> None:
        """End the installation. What it has fetched is used by the next one, where pip keeps it."""
        with suppress(OSError):
            if sys.platform == "win32":
                self._process.terminate()
            else:
                os.killpg(self._process.pid, signal.SIGTERM)
