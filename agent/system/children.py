"""Child processes that end with their parent, however it ends."""

import ctypes
import os
import signal
import sys
import threading
import time

from agent.system.cpu_tuning import tune_cpu

_PR_SET_PDEATHSIG = 1  # sys/prctl.h
_SECONDS = 1.0  # between two looks


def python(statements: str, *arguments: str) -> list[str]:
    """The command of a child that runs statements, with arguments in `sys.argv`, and ends with this process.

    It finds the same packages as this process does, whatever lies in the current folder.
    """
    start = f"import sys\nsys.path[:] = {sys.path}\nfrom agent.system.children import end_with_parent\n"
    return [sys.executable, "-P", "-c", f"{start}end_with_parent({os.getpid()})\n{statements}", *arguments]


def end_with_parent(parent: int) -> None:
    """Let this process be killed as soon as its parent has ended; a child calls it before any slow import.

    Linux does so itself. Elsewhere a thread looks every second.

    Args:
        parent: the parent's process id, as the parent knows it.
    """
    if not (sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) == 0):
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    _end_without(parent)


def start_worker(parent: int) -> None:
    """Prepare a process of a pool: it ends with its parent, to which it leaves Ctrl-C, and computes with one thread."""
    end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tune_cpu()
    from agent.system.threads import set_threads  # imports torch, which takes seconds

    set_threads(1)


def _watch(parent: int) -> None:
    """Look for the parent again and again."""
    while True:
        time.sleep(_SECONDS)
        _end_without(parent)


def _end_without(parent: int) -> None:
    """End this process if the parent has ended: another one has adopted it."""
    if os.getppid() != parent:
        os._exit(1)
