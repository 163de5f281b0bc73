"""Run the command line: ``neural-style`` or ``python -m plugin.cli``."""

from __future__ import annotations

import io
import os
import sys

CANCELLED = b"neural-style: cancelled\n"

try:
    import signal  # imports more than Python does for itself; what else takes time waits until there is a handler
except KeyboardInterrupt:
    os.write(2, CANCELLED)
    os._exit(130)


def run() -> None:
    """Run one command and exit. A signal shows no traceback, also while modules load and while the interpreter ends."""
    _on_interrupt(None, CANCELLED if os.environ.get("RANK", "0") == "0" else b"")
    _open_standard_streams()
    import threading

    from plugin.cli.main import main

    code = main()
    _on_interrupt(code)  # the work is done, whatever its outcome
    if threading.active_count() > 1:  # a library may still be computing, and would abort when the interpreter ends
        sys.stdout.flush()
        os._exit(code)
    _drop_unwritable_output()
    sys.exit(code)


def _drop_unwritable_output() -> None:
    """Drop what cannot be written, so the interpreter ends with our exit code and not with that of its last flush."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_standard_streams() -> None:
    """Open standard streams that are closed, so no file takes their place; show characters of any kind."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = os.O_WRONLY if descriptor else os.O_RDONLY
            if (opened := os.open(os.devnull, mode)) != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            setattr(sys, name, os.fdopen(descriptor, "w" if descriptor else "r", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _on_interrupt(code: int | None, message: bytes = b"") -> None:
    """Let Ctrl-C and SIGTERM exit at once, with their own exit codes if ``code`` is None.

    A signal that this process was started to ignore stays ignored.
    """

    def leave(signum: int, frame: object) -> None:
        os.write(2, message)
        os._exit(128 + signum if code is None else code)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, leave)


if __name__ == "__main__":
    run()
