"""Commands of our command line in processes of their own, and what they leave running."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
MARK = "JUMPY_TEST_MARK"


class Marked:
    """A process whose descendants can be found by a variable of their environment, even after it has ended."""

    def __init__(self, *command: str, folder: Path) -> None:
        self.mark = f"{MARK}={uuid4()}".encode()
        name, value = self.mark.decode().split("=")
        environment = os.environ | {name: value, "OMP_NUM_THREADS": "1"}
        self.log = folder / "log.txt"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command], stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def family(self) -> list[int]:
        """The process and its descendants that run, without the interpreter's own helpers."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                ours = self.mark in (folder / "environ").read_bytes().split(b"\0")
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if ours and command and b"resource_tracker" not in command:
                found.append(int(folder.name))
        return found

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds, as long as the process runs."""
        until = time.monotonic() + 120
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.01)

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send a signal to this process alone and return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def left(self, seconds: float = 5) -> list[int]:
        """What still runs after that time; it is killed."""
        until = time.monotonic() + seconds
        while (found := self.family()) and time.monotonic() < until:
            time.sleep(0.05)
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return found
