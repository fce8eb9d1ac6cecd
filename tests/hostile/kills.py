"""`kill -9` of a command at a random moment, again and again, each time continued by the same command."""

import random
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from agent.training.runs import CHECKPOINT
from tests.hostile.commands import COMMANDS, TWO_PROCESSES, arguments, facts
from tests.hostile.forked import Forked
from tests.hostile.pairs import alone

KILLED = ("train", "collect", "benchmark", TWO_PROCESSES, "demo")


class Kills(NamedTuple):
    """What came of the kills of a command."""

    kills: int
    finished: int
    """times that the work was completed by what the kills had left"""
    orphans: int
    """processes that still ran 5 s after a kill"""
    wrong: list[str]
    """what went wrong"""


def try_kills(name: str, times: int, sources: Path, folder: Path, seed: int = 0) -> Kills:
    """Kill a command at random moments of its work until it is done, then begin anew.

    Args:
        name: of the command.
        times: kills.
        sources: what the commands read.
        folder: for results; emptied.
        seed: of the moments.
    """
    rng, out = random.Random(seed), folder / "killed"
    expected, seconds = _timed(name, sources, folder / "alone")
    shutil.rmtree(out, ignore_errors=True)
    kills, finished, orphans, wrong = 0, 0, 0, list[str]()
    while kills < times or out.exists():
        command = _continued(name, sources, out)
        process = Forked(command, folder / "killed.log")
        status = process.wait(rng.uniform(0.02, seconds) if kills < times else None)
        if status is None:
            process.kill()
            kills += 1
            orphans += process.orphans()
            continue
        finished += 1
        if status != 0 or process.traceback:
            wrong.append(f"after {kills} kills: exit status {status}, {process.last_line}")
        elif facts(out) != expected:
            wrong.append(f"after {kills} kills: other bytes than without")
        shutil.rmtree(out)
    return Kills(kills, finished, orphans, wrong)


def _timed(name: str, sources: Path, out: Path) -> tuple[dict, float]:
    """What the command leaves when nobody kills it, and how long it takes."""
    began = time.monotonic()
    found = alone(name, sources, out)
    return found, time.monotonic() - began


def _continued(name: str, sources: Path, out: Path) -> list[str]:
    """The command, with `--resume` where a training left a checkpoint."""
    resume = ["--resume"] if name == "train" and (out / CHECKPOINT).exists() else []
    return [*arguments(COMMANDS[name], sources, out), *resume]
