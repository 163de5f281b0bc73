import contextlib
import os
import signal
import threading

import pytest

from plugin.cli.terminal import interruptible, interrupts_held_back, interrupts_noted, run_stoppable


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def test_held_back_ctrl_c_takes_effect_after_the_block():
    done, before = [], signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interrupts_held_back():
        press_ctrl_c()
        done.append("the rest")
    assert done and signal.getsignal(signal.SIGINT) is before
    with interrupts_held_back():
        done.append("more")


def test_second_ctrl_c_is_not_held_back():
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts_held_back():
        press_ctrl_c()
        press_ctrl_c()
        done.append("the rest")
    assert not done


def test_held_back_ctrl_c_is_noted_and_not_raised():
    with interruptible() as interrupted:
        assert not interrupted()
        with interrupts_held_back():
            press_ctrl_c()
        assert interrupted()


def test_swallowed_ctrl_c_is_noted():
    with interrupts_noted() as interrupted:
        assert not interrupted()
        with contextlib.suppress(KeyboardInterrupt):
            press_ctrl_c()
        assert interrupted()


def send_sigterm():
    os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_acts_like_ctrl_c_and_is_noted():
    before = signal.getsignal(signal.SIGTERM)
    with interrupts_noted() as noted:
        with pytest.raises(KeyboardInterrupt), interrupts_held_back():
            send_sigterm()
        assert noted() == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_work_that_keeps_what_it_has_notes_sigterm_but_not_ctrl_c():
    for send, number in ((press_ctrl_c, 0), (send_sigterm, signal.SIGTERM)):
        with interrupts_noted() as noted, interruptible() as interrupted:
            interrupted()
            send()
            assert interrupted() and noted() == number


def test_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts_noted() as noted, interruptible() as interrupted:
            interrupted()
            press_ctrl_c()
            assert not interrupted() and not noted()
    finally:
        signal.signal(signal.SIGINT, before)


def test_stoppable_work_returns_raises_and_stops():
    assert run_stoppable(lambda stopper: 3) == 3
    with pytest.raises(ZeroDivisionError):
        run_stoppable(lambda stopper: 1 / 0)
    stopped = threading.Event()

    def work(stopper):
        stopper.on_stop(stopped.set)
        press_ctrl_c()
        return stopped.wait(60)

    with interrupts_noted(), pytest.raises(KeyboardInterrupt):
        run_stoppable(work)
    assert stopped.is_set()
