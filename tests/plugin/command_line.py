"""What the tests of the command line share."""

import json
import signal


def report(done) -> dict:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def interrupt_after_first_step(process) -> int:
    """Presses Ctrl-C when the progress bar shows up; returns the exit code."""
    shown = ""
    while "/100000" not in shown:
        letter = process.stderr.read(1)
        assert letter, shown
        shown += letter
    process.send_signal(signal.SIGINT)
    return process.wait(timeout=120)
