"""What ends a command early: SIGINT (Ctrl-C), SIGTERM, and SIGHUP (a closed terminal)."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupted(KeyboardInterrupt):
    """A signal ended the work early."""

    def __init__(self, number: int) -> None:
        """Keep the signal's number."""
        super().__init__(f"signal {number}")
        self.number = number


def exit_status(stop: KeyboardInterrupt) -> int:
    """The exit status of a command that was interrupted, as shells count it; that of Ctrl-C if no signal is known."""
    return 128 + (stop.number if isinstance(stop, Interrupted) else signal.SIGINT)


@contextmanager
def interrupt_on_signal() -> Iterator[None]:
    """Let each signal raise `Interrupted` within the block, so that everything cleans up after itself."""

    def interrupt(number: int, _: Any) -> None:
        raise Interrupted(number)

    with _handled(interrupt):
        yield


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Turn a signal into an event within the block, and into `Interrupted` after it; a second Ctrl-C acts at once."""
    stop, before = threading.Event(), signal.getsignal(signal.SIGINT)
    came: list[int] = []

    def note(number: int, _: Any) -> None:
        came.append(number)
        stop.set()
        if number == signal.SIGINT:
            signal.signal(number, before)

    with _handled(note):
        yield stop
    if came:
        raise Interrupted(came[0])


@contextmanager
def _handled(act: Callable[[int, Any], None]) -> Iterator[None]:
    """Handle the signals that are not ignored (as SIGHUP is after `nohup`) within the block; main thread only."""

    def handle(number: int, frame: Any) -> None:
        _silence_lost_terminal()
        act(number, frame)

    here = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, name) for name in ENDING if here and hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: old for number, old in before.items() if old not in (None, signal.SIG_IGN)}
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _silence_lost_terminal() -> None:
    """Where the terminal was closed, let later messages vanish rather than fail."""
    for descriptor in (1, 2):
        try:
            os.write(descriptor, b"")
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, descriptor)
            os.close(null)
