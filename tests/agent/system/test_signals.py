"""Signals that end a command."""

import os
import pty
import signal
import subprocess
import sys

import pytest

from agent.system.signals import Interrupted, exit_status, interrupt_on_signal, stop_on_signal

ENDING = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.mark.parametrize(("number", "status"), ENDING)
def test_signal_interrupts_and_has_a_status(number, status):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught, interrupt_on_signal():
        os.kill(os.getpid(), number)
        pytest.fail("went on")
    assert exit_status(caught.value) == status
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(("number", "status"), ENDING)
def test_work_goes_on_to_its_end_whatever_comes_but_a_second_ctrl_c(number, status):
    with pytest.raises(Interrupted) as caught, stop_on_signal() as stop:
        assert not stop.is_set()
        for each in (number, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), each)
        assert stop.is_set()
    assert exit_status(caught.value) == status
    ended = False
    with pytest.raises(KeyboardInterrupt), stop_on_signal():
        os.kill(os.getpid(), signal.SIGINT)
        ended = True
        os.kill(os.getpid(), signal.SIGINT)
        ended = False
    assert ended


def test_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with interrupt_on_signal(), stop_on_signal() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


IN_A_TERMINAL = """
import sys, time
from agent.system.signals import Interrupted, stop_on_signal
try:
    with stop_on_signal() as stop:
        print("ready", flush=True)
        stop.wait(60)
        print("saved", flush=True)
        print("interrupted", file=sys.stderr)
except Interrupted as stop:
    sys.exit(128 + stop.number)
"""


def test_closed_terminal_does_not_hinder_the_end():
    ours, its = pty.openpty()
    command = [sys.executable, "-c", f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n{IN_A_TERMINAL}"]
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, start_new_session=True) as process:
        os.close(its)
        output = b""
        while b"ready" not in output:
            output += os.read(ours, 100)
        os.close(ours)
        assert process.wait(60) == 129
