"""What the tests of the command line share."""

import json
import signal


def json_report(done) -> dict:
    """Return the report that a command with ``--json`` printed."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def interrupt_after_first_step(process, number=signal.SIGINT) -> int:
    """Press Ctrl-C, or send another signal, when the progress bar appears, and return the exit code."""
    shown = ""
    while "/100000" not in shown:
        letter = process.stderr.read(1)
        assert letter, shown
        shown += letter
    process.send_signal(number)
    return process.wait(timeout=120)
