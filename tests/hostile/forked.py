"""Commands as forks of one process that has imported everything, each in a session of its own: they start at once."""

import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

from experiments import cli

REFUSED = 2  # exit status of an error in one line


def import_commands() -> None:
    """Import what the commands need; nothing is computed, so that no thread exists when this process forks."""
    for command in cli.COMMANDS.values():
        import_module(command.module)


class Forked:
    """A running command; its process id is that of its session."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self.began = time.monotonic()
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            with log.open("wb") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            status = 70  # as if Python had failed
            try:
                status = cli.main(arguments)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)

    def wait(self, seconds: float | None = None) -> int | None:
        """The exit status, negative after a signal; None if it still runs after that time."""
        while True:
            pid, status = os.waitpid(self.pid, 0 if seconds is None else os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            assert seconds is not None
            if time.monotonic() - self.began > seconds:
                return None
            time.sleep(0.005)

    def kill(self) -> None:
        """`kill -9` of this process alone."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def orphans(self, seconds: float = 5) -> int:
        """How many processes of its session still run after that time; they are killed."""
        until = time.monotonic() + seconds
        while (left := self._session()) and time.monotonic() < until:
            time.sleep(0.05)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return len(left)

    def _session(self) -> list[int]:
        """Processes of the session; the interpreter's own helper for semaphores ends when its pipe does."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                state, _, _, session = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:4]
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(session) == self.pid and state != "Z" and b"resource_tracker" not in command:
                found.append(int(entry.name))
        return found

    @property
    def last_line(self) -> str:
        """The end of its output: of a refused command the one line that says why."""
        return (self.log.read_text(errors="replace").replace("\r", "\n").strip().splitlines() or [""])[-1]

    @property
    def traceback(self) -> bool:
        """Whether its output holds one."""
        return "Traceback" in self.log.read_text(errors="replace")
