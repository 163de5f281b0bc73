"""Run the command line: ``neural-style`` or ``python -m plugin.cli``."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn


def run() -> NoReturn:
    """Run one command and exit. Ctrl-C shows no traceback, also while modules load and while the interpreter ends."""
    _on_interrupt(130, b"neural-style: cancelled\n" if os.environ.get("RANK", "0") == "0" else b"")
    from plugin.cli.main import main

    code = main()
    _on_interrupt(code)  # the work is done, whatever its outcome
    sys.exit(code)


def _on_interrupt(code: int, message: bytes = b"") -> None:
    """Let Ctrl-C exit at once, unless this process was started to ignore it."""

    def leave(signum: int, frame: object) -> NoReturn:
        os.write(2, message)
        os._exit(code)

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, leave)


if __name__ == "__main__":
    run()
