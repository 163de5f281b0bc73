"""Drives a real GIMP 3 from outside: fresh profiles, a session that answers calls, and a screen with a keyboard."""

from __future__ import annotations

import json
import os
import re
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
        [str(gimp.console), "--no-interface", "--batch-interpreter=plug-in-script-fu-eval", "-b", script, "--quit"],
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
    """A virtual screen and a keyboard. Use it with ``with``.

    ``seen`` always holds the current picture: uint8 [height, width, 4] in the order blue, green, red, unused.

    Args:
        width: in pixels.
        height: in pixels.
        managed: whether a window manager runs on it, which gives windows a place, a size and a frame.
    """

    def __init__(self, width: int = 1280, height: int = 900, managed: bool = False) -> None:
        self.width, self.height, self._managed = width, height, managed
        self._manager: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        readable, writable = os.pipe()
        self._folder = tempfile.TemporaryDirectory(prefix="screen-")
        size, memory = ("-screen", "0", f"{self.width}x{self.height}x24"), ("-fbdir", self._folder.name)
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
        if self._managed:
            self._manager = subprocess.Popen(
                ["openbox"], env=os.environ | {"DISPLAY": self.display}, stderr=subprocess.DEVNULL
            )
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._manager:
            self._manager.terminate()
            self._manager.wait()
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

    def place(self, window: str) -> tuple[int, int, int, int]:
        """Return where a window is, without its frame: left, top, width, height."""
        text = self._do("xwininfo", "-id", window)
        names = ("Absolute upper-left X", "Absolute upper-left Y", "Width", "Height")
        left, top, width, height = (int(re.findall(f"{name}: +(-?[0-9]+)", text)[0]) for name in names)
        return left, top, width, height

    def resize(self, window: str, width: int, height: int) -> None:
        """Give a window another size."""
        self._do("xdotool", "windowsize", "--sync", window, str(width), str(height))
        time.sleep(0.5)

    def keys(self, *keys: str) -> None:
        """Press keys one after another, with time for a menu to open."""
        self._do("xdotool", "key", "--delay", "250", *keys)
        time.sleep(0.3)

    def type(self, text: str) -> None:
        """Type a text slowly enough for fields that complete it."""
        self._do("xdotool", "type", "--delay", "120", text)
        time.sleep(0.5)

    def click(self, x: int, y: int, key: str = "") -> None:
        """Move the mouse to a point and click, with a key down if one is given."""
        down, up = (["keydown", key], ["keyup", key]) if key else ([], [])
        self._do("xdotool", "mousemove", str(x), str(y), *down, "click", "1", *up)
        time.sleep(0.3)

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Move the mouse from one point to another with its button down."""
        self._do("xdotool", "mousemove", *map(str, start), "mousedown", "1")
        time.sleep(0.1)
        for share in (0.1, 0.5, 1.0):  # as a hand does, rather than in one leap
            x, y = (round(a + (b - a) * share) for a, b in zip(start, end, strict=True))
            self._do("xdotool", "mousemove", str(x), str(y))
            time.sleep(0.1)
        self._do("xdotool", "mouseup", "1")
        time.sleep(0.3)

    def hold(self, x: int, y: int) -> None:
        """Move the mouse to a point and press its button."""
        self._do("xdotool", "mousemove", str(x), str(y), "mousedown", "1")

    def release(self) -> None:
        """Release the mouse's button."""
        self._do("xdotool", "mouseup", "1")

    def scroll(self, x: int, y: int, clicks: int) -> None:
        """Turn the mouse wheel at a point, away from the user or, if the number is negative, towards them."""
        button = "4" if clicks > 0 else "5"
        self._do("xdotool", "mousemove", str(x), str(y), "click", "--repeat", str(abs(clicks)), button)
        time.sleep(0.3)

    def shoot(self, file: Path) -> None:
        """Save what the screen shows as a PNG file."""
        self._do("scrot", "--overwrite", str(file))

    def _do(self, *command: str) -> str:
        variables = os.environ | {"DISPLAY": self.display}
        return subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=True, timeout=180).stdout
