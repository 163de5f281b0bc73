"""Drives a real GIMP 3 from outside: fresh profiles, a session that answers calls, and a screen with a keyboard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from multiprocessing.connection import Client
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

import install
from plugin.engine.machine import gimps as hosts

GIMPRC = "(show-welcome-dialog no)\n(check-updates no)\n"
CALL_SECONDS = 300  # far more than an idle machine needs


def make_profile(folder: Path, other_python: bool = False) -> Path:
    """Make a GIMP profile with the filter in it, as install.py registers it.

    With ``other_python`` the filter believes that the environment has another Python than GIMP.
    """
    folder.mkdir(parents=True)
    (folder / "gimprc").write_text(GIMPRC, encoding="utf-8")
    version = install.read_project()["project"]["version"]
    install.register(folder, {"python": "{}.{}".format(*sys.version_info), "version": version})
    if other_python:
        record = folder / "plug-ins/neural-style/installation.json"
        record.write_text(json.dumps(json.loads(record.read_text(encoding="utf-8")) | {"python": "3.2"}))
    return folder


def environment(profile: Path, home: Path) -> dict[str, str]:
    """Return the variables of a GIMP that uses this profile, and whose filter finds the user's files in ``home``."""
    own = Path(sys.prefix)
    path = [entry for entry in os.environ["PATH"].split(os.pathsep) if own not in (Path(entry), *Path(entry).parents)]
    removed = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "GI_TYPELIB_PATH", "DISPLAY", "WAYLAND_DISPLAY")
    return {name: value for name, value in os.environ.items() if name not in removed} | {
        "PATH": os.pathsep.join(path),  # GIMP takes the first python3, which must not be that of this environment
        "GIMP3_DIRECTORY": str(profile),
        "NEURAL_STYLE_HOME": str(home),
        "GIO_USE_VFS": "local",
        "LANGUAGE": "en",
        "NO_AT_BRIDGE": "1",
    }


class Session:
    """A running GIMP that calls the functions of the package in_gimp. Use it with ``with``.

    Args:
        program: ``gimp-console`` or, with a ``DISPLAY`` in ``variables``, ``gimp``.
        variables: see ``environment``.
        log: a file for what GIMP prints.
    """

    def __init__(self, program: Path, variables: dict[str, str], log: Path) -> None:
        self._program, self._variables, self._log = program, variables, log

    def __enter__(self) -> Self:
        # Not pytest's own folder: the path of a socket must be short.
        self._folder = tempfile.TemporaryDirectory(prefix="gimp-")
        address = Path(self._folder.name, "socket")
        code = (
            f"import sys; sys.path[1:1] = {[str(Path(__file__).parent), sysconfig.get_path('purelib')]!r}; "
            f"from in_gimp import server; server.serve({str(address)!r})"
        )
        options = ["--new-instance", "--no-splash"] if "DISPLAY" in self._variables else ["--no-interface"]
        with self._log.open("w") as output:
            self.process = subprocess.Popen(
                [self._program, *options, "--batch-interpreter=python-fu-eval", "-b", code, "--quit"],
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + CALL_SECONDS
        while True:
            try:
                self._connection = Client(str(address))
                return self
            except (FileNotFoundError, ConnectionRefusedError):  # it does not exist yet, or does not listen yet
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.process.kill()
                    self._folder.cleanup()
                    raise RuntimeError(f"GIMP did not start:\n{self.log()}") from None
                time.sleep(0.05)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._folder.cleanup()

    def log(self) -> str:
        """Return what GIMP has printed so far."""
        return self._log.read_text(errors="replace")

    def start(self, function: str, **arguments: Any) -> None:
        """Call a function of in_gimp without waiting for its answer."""
        self._connection.send((function, arguments))

    def answer(self, seconds: float = CALL_SECONDS) -> Any:
        """Wait for the function that was started, and return its value."""
        if not self._connection.poll(seconds):
            raise TimeoutError(f"GIMP did not answer within {seconds} s:\n{self.log()}")
        worked, value = self._connection.recv()
        if not worked:
            raise RuntimeError(value)
        return value

    def call(self, function: str, **arguments: Any) -> Any:
        """Call a function of in_gimp and return its value."""
        self.start(function, **arguments)
        return self.answer()


def script_fu(gimp: hosts.Gimp, variables: dict[str, str], script: str) -> str:
    """Run a Script-Fu script in a GIMP of its own, and return everything printed. Raises RuntimeError if it fails."""
    done = subprocess.run(
        [gimp.console, "--no-interface", "--batch-interpreter=plug-in-script-fu-eval", "-b", script, "--quit"],
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=CALL_SECONDS,
    )
    if done.returncode:
        raise RuntimeError(f"the script failed:\n{done.stdout}")
    return done.stdout


class Screen:
    """A virtual screen without a window manager, and a keyboard. Use it with ``with``.

    ``seen`` always holds the current picture: uint8 [height, width, 4] in the order blue, green, red, unused.
    """

    def __enter__(self) -> Self:
        readable, writable = os.pipe()
        self._folder = tempfile.TemporaryDirectory(prefix="screen-")
        size, memory = ("-screen", "0", "1280x900x24"), ("-fbdir", self._folder.name)
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writable), *size, *memory, "-nolisten", "tcp"],
            pass_fds=[writable],
            stderr=subprocess.DEVNULL,
        )
        os.close(writable)
        with os.fdopen(readable) as answer:
            self.display = f":{answer.readline().strip()}"
        # The server draws into this X window dump (X11/XWDFile.h).
        file = Path(self._folder.name, "Xvfb_screen0")
        header = np.fromfile(file, ">u4", 25)
        start, height, row, colours = (int(header[field]) for field in (0, 5, 12, 19))
        self.seen = np.memmap(file, np.uint8, "r", start + 12 * colours, (height, row // 4, 4))
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.terminate()
        self._server.wait()
        self._folder.cleanup()

    def window(self, title: str) -> str:
        """Wait for a visible window whose title matches the expression, and return its id."""
        return self._do("xdotool", "search", "--sync", "--onlyvisible", "--name", title).split()[0]

    def focus(self, window: str, position: tuple[int, int] | None = None) -> None:
        """Give this window the keyboard, after moving it to ``position`` if that is given."""
        if position:
            self._do("xdotool", "windowmove", "--sync", window, *map(str, position))
        self._do("xdotool", "windowfocus", "--sync", window)
        time.sleep(0.5)  # GTK needs a moment to notice

    def keys(self, *keys: str) -> None:
        """Press keys one after another, with time for a menu to open."""
        self._do("xdotool", "key", "--delay", "250", *keys)
        time.sleep(0.3)

    def type(self, text: str) -> None:
        """Type a text slowly enough for fields that complete it."""
        self._do("xdotool", "type", "--delay", "120", text)
        time.sleep(0.5)

    def click(self, x: int, y: int) -> None:
        """Move the mouse to a point and click."""
        self._do("xdotool", "mousemove", str(x), str(y), "click", "1")
        time.sleep(0.3)

    def shoot(self, file: Path) -> None:
        """Save what the screen shows as a PNG file."""
        self._do("scrot", "--overwrite", str(file))

    def _do(self, *command: str) -> str:
        variables = os.environ | {"DISPLAY": self.display}
        return subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=True, timeout=180).stdout
