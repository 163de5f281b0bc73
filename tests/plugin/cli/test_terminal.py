import contextlib
import os
import signal

import pytest

from plugin.cli.terminal import interruptible, interrupts_held_back, interrupts_noted


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


def test_ctrl_c_held_back_during_work_that_keeps_what_it_has_only_stops_it():
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
