"""Two of a command in one folder, started together or one second apart."""

import shutil
import time
from pathlib import Path
from typing import NamedTuple

from tests.hostile.commands import COMMANDS, WAITING, arguments, facts
from tests.hostile.forked import REFUSED, Forked


class Pairs(NamedTuple):
    """What came of the pairs of a command."""

    pairs: int
    refused: int
    """pairs of which one was refused while the other one wrote"""
    wrong: list[str]
    """what went wrong, one text per pair"""


def try_pairs(name: str, seconds: float, times: int, sources: Path, folder: Path) -> Pairs:
    """Start a command twice in one folder, again and again.

    Args:
        name: of the command.
        seconds: between the two.
        times: pairs.
        sources: what the commands read.
        folder: for results; emptied.
    """
    expected = alone(name, sources, folder / "alone")
    refused, wrong = 0, []
    for number in range(times):
        out = folder / "pair"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        command = arguments(COMMANDS[name], sources, out)
        first = Forked(command, folder / "first.log")
        time.sleep(seconds)
        second = Forked(command, folder / "second.log")
        statuses = [first.wait(), second.wait()]
        busy = [
            f"is in use by process {other.pid}" in one.last_line for one, other in ((first, second), (second, first))
        ]
        refused += any(busy)
        if problem := _problem(name, statuses, busy, (first, second)):
            wrong.append(f"pair {number}: {problem}")
        elif facts(out if name != "plot" else sources / "benchmark") != expected:
            wrong.append(f"pair {number}: other bytes than alone")
    return Pairs(times, refused, wrong)


def alone(name: str, sources: Path, out: Path) -> dict:
    """What the command leaves when nothing else runs."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    status = Forked(arguments(COMMANDS[name], sources, out), out.with_suffix(".log")).wait()
    if status != 0:
        raise RuntimeError(f"{name} alone failed: {out.with_suffix('.log').read_text()}")
    return facts(out if name != "plot" else sources / "benchmark")


def _problem(name: str, statuses: list[int | None], busy: list[bool], commands: tuple[Forked, Forked]) -> str:
    """What is wrong about the two ends; nothing if one succeeded, and the other one did or was refused in one line."""
    if any(command.traceback for command in commands):
        return "a traceback"
    if 0 not in statuses or not set(statuses) <= {0, REFUSED}:
        return f"exit statuses {statuses}, {[command.last_line for command in commands]}"
    if name in WAITING and statuses != [0, 0]:
        return "refused instead of taking its turn"
    for status, was_busy, command in zip(statuses, busy, commands, strict=True):
        if status == REFUSED and not was_busy and "already holds" not in command.last_line:
            return f"refused with {command.last_line!r}"
    return ""
