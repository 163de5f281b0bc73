"""Find every GIMP 3 on this machine, and the Python that it starts.

Standard library only: install.py needs this before any environment exists.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from plugin.engine.machine.paths import home_folder


@dataclass(frozen=True)
class Gimp:
    """A GIMP 3.

    Attributes:
        version: for example "3.0.4", or the profile folder's name if the program was not found.
        profile: the folder of its settings and plug-ins, which exists once this GIMP has been started.
        console: ``gimp-console`` or, if there is none, ``gimp``.
        python: what it starts for a ``#!/usr/bin/env python3`` plug-in; None if that was not found or lacks PyGObject,
            which every Python plug-in needs.
        python_version: for example (3, 13).
    """

    version: str
    profile: Path
    console: Path | None = None
    python: Path | None = None
    python_version: tuple[int, int] | None = None


def find_gimps() -> list[Gimp]:
    """Find every GIMP 3: programs on PATH and in the usual places, then profiles whose program was not found."""
    own_profile = os.environ.get("GIMP3_DIRECTORY")
    gimps: dict[Path, Gimp] = {}
    for program in _programs():
        version = _version(program)
        if version is None:
            continue
        series = version.rpartition(".")[0]
        profile = home_folder() / own_profile if own_profile else _profiles_folder() / series
        if profile not in gimps:
            python, python_version = _python(program, profile)
            gimps[profile] = Gimp(version, profile, program, python, python_version)
    profiles = [home_folder() / own_profile] if own_profile else sorted(_profiles_folder().glob("3.*"))
    for profile in profiles:
        if profile not in gimps and (own_profile or re.fullmatch(r"3\.\d+", profile.name)):
            gimps[profile] = Gimp(profile.name, profile)
    return list(gimps.values())


def _profiles_folder() -> Path:
    if sys.platform == "darwin":
        return home_folder() / "Library/Application Support/GIMP"
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or home_folder() / "AppData/Roaming") / "GIMP"
    return Path(os.environ.get("XDG_CONFIG_HOME") or home_folder() / ".config") / "GIMP"


def _programs() -> Iterator[Path]:
    folders = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    if sys.platform == "darwin":
        folders += sorted(Path("/Applications").glob("GIMP*.app/Contents/MacOS"))
    if sys.platform == "win32":
        for variable, place in (("PROGRAMFILES", "."), ("LOCALAPPDATA", "Programs")):
            folders += sorted(Path(os.environ.get(variable, "."), place).glob("GIMP 3*/bin"))
    suffix = ".exe" if sys.platform == "win32" else ""
    seen = set()
    for pattern in ("gimp-console", "gimp-console-3*", "gimp", "gimp-3*"):
        for folder in folders:
            for program in sorted(folder.glob(pattern + suffix)):
                if program.resolve() not in seen and os.access(program, os.X_OK):
                    seen.add(program.resolve())
                    yield program


def _version(program: Path) -> str | None:
    version = re.search(r"\b3\.\d+\.\d+\b", _output(program, "--version"))
    return version[0] if version else None


def _python(program: Path, profile: Path) -> tuple[Path | None, tuple[int, int] | None]:
    if sys.platform in ("darwin", "win32"):
        return None, None  # the Python inside these bundles takes no wheels
    prefix = program.resolve().parents[1]
    folders = [profile / "interpreters"]
    for pattern in ("lib*/gimp/3.0/interpreters", "lib*/*/gimp/3.0/interpreters"):
        folders += sorted(prefix.glob(pattern))
    interpreters = map(_interpreter, (file for folder in folders for file in sorted(folder.glob("*.interp"))))
    python3 = next(filter(None, interpreters), None)
    for python in [python3] if python3 else _on_path("python3"):
        # A python3 without PyGObject, like that of an active virtual environment, cannot be GIMP's.
        version = _output(python, "-c", "import gi, sys; print(*sys.version_info[:2])").split()
        if len(version) == 2:
            return python, (int(version[0]), int(version[1]))
    return None, None


def _interpreter(file: Path) -> Path | None:
    """Return the program that an .interp file gives for python3, as a path or as a name on PATH."""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, program = line.partition("=")
        if name.strip() == "python3" and (path := shutil.which(program.strip())):
            return Path(path)
    return None


def _on_path(name: str) -> Iterator[Path]:
    for entry in os.environ.get("PATH", "").split(os.pathsep):
        if entry and (path := shutil.which(name, path=entry)):
            yield Path(path)


def _output(*command: str | Path) -> str:
    """Return what a program prints on standard output; empty if it fails or takes longer than 30 seconds."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=30,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
