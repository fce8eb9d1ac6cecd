"""`jumpy runs`: long trainings, one piece after the other, from a committed list.

A list is TOML: `[data]` names for each data set the command that makes it, `[[run]]` gives each training in its order,
with the arguments of `jumpy train` as they would be typed, and the processor hours that are planned for it. Its paths
are relative to the folder in which `jumpy runs` is called. A run's name is that of its `--out`.

What is done is only what the checkpoints say: a piece is `jumpy train` with `--resume`, so pieces give the same weights
as one training in one go, a kill loses no more than the steps since the last checkpoint, and a run that is being
trained cannot be started again.
"""

from __future__ import annotations

import shlex
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from agent.system.atomic_files import holder
from agent.training.config import TrainConfig
from agent.training.runs import CHECKPOINT, progress
from agent.training.train import train
from experiments.common.command_line import parse


@dataclass(frozen=True)
class RunsConfig:
    """Take the next piece of a list of long trainings, or say how far they are.

    Continues the first unfinished run, then those after it, until the list is finished, a limit is reached or a signal
    comes (then the run is saved).
    """

    list: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="LIST")]
    """the list, such as experiments/configs/video.toml"""
    status: bool = False
    """only say how far all runs are: steps, processor hours so far, hours left"""
    only: str | None = None
    """continue this run, not the first unfinished one"""
    minutes: float | None = None
    """stop after so many minutes of training, of processor time on a CPU"""
    pause_after: int | None = None
    """stop after so many training steps"""

    def __post_init__(self) -> None:
        for name in ("minutes", "pause_after"):
            if (value := getattr(self, name)) is not None and value <= 0:
                raise ValueError(f"--{name.replace('_', '-')} must be more than 0, got {value}")


@dataclass(frozen=True)
class Run:
    """A training of a list."""

    config: TrainConfig
    hours: float
    """planned processor hours"""
    make: str
    """the command that makes its data"""

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.config.out.name

    @property
    def last(self) -> int:
        """Steps in all."""
        return self.config.recipe.steps

    def progress(self) -> tuple[int, float | None]:
        """Steps so far, and hours of training; None if the beginning was not timed."""
        steps, seconds = progress(self.config.out)
        return steps, None if seconds is None else seconds / 3600


def runs(config: RunsConfig) -> None:
    """Train the next piece, then print how far the list is.

    Raises:
        ValueError: the list is damaged, a data set is missing, another process trains the run, or as `train`.
        Interrupted: a signal came; the run is saved.
    """
    found = read_list(config.list)
    chosen = [run for run in found if config.only in (None, run.name)]
    if not chosen:
        names = ", ".join(run.name for run in found)
        raise ValueError(f"{config.list} has no run {config.only!r}: choose one of {names}")
    if not config.status:
        steps, minutes = config.pause_after, config.minutes
        for run in chosen:
            if (steps is None or steps > 0) and (minutes is None or minutes > 0):
                taken, hours = _continue(run, steps, minutes)
                steps = None if steps is None else steps - taken
                minutes = None if minutes is None else minutes - 60 * hours
    print(table(found))


def _continue(run: Run, steps: int | None, minutes: float | None) -> tuple[int, float]:
    """Train a run until it is finished or a limit is reached; return steps and hours of this piece."""
    before, hours = run.progress()
    if before >= run.last:
        return 0, 0.0
    if not run.config.data.exists():
        raise ValueError(f"{run.name} needs {run.config.data}, which is missing: make it with '{run.make}'")
    print(f"{run.name}: from step {before} of {run.last}", flush=True)
    begun = (run.config.out / CHECKPOINT).exists()
    train(replace(run.config, resume=begun, pause_after=steps, pause_after_minutes=minutes))
    after, until = run.progress()
    spent = (until or 0.0) - (hours or 0.0)
    if after < run.last and minutes is not None:
        spent = max(spent, minutes / 60)  # the limit was reached, whatever was not timed
    return after - before, spent


def read_list(path: Path) -> list[Run]:
    """Read a list of trainings.

    Raises:
        ValueError: the file is missing or no such list, or the arguments of a training are wrong.
    """
    if not path.is_file():
        raise ValueError(f"there is no list {path}: give the path of one, such as experiments/configs/video.toml")
    try:
        content = tomllib.loads(path.read_text())
        entries = [(str(entry["train"]), float(entry["hours"])) for entry in content["run"]]
        make = {Path(name): str(command) for name, command in content["data"].items()}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is not a list of runs ({error!r}): see experiments/configs/video.toml") from error
    found = [_run(path, arguments, hours, make) for arguments, hours in entries]
    if len({run.config.out for run in found}) < len(found):
        raise ValueError(f"{path} names a run twice: give every run an --out of its own")
    return found


def _run(path: Path, arguments: str, hours: float, make: dict[Path, str]) -> Run:
    """An entry of a list."""
    config: Any = parse(TrainConfig, "jumpy train", shlex.split(arguments))
    if config is None or config.resume or config.overwrite:
        raise ValueError(f"{path} holds {arguments!r}: leave out --help, --resume and --overwrite")
    if config.data not in make:
        raise ValueError(f"{path} does not say how {config.data} is made: add it to [data]")
    return Run(config, hours, make[config.data])


def table(found: list[Run]) -> str:
    """How far every run is: steps, processor hours so far and left, and who trains it."""
    rows = [("run", "steps", "of", "hours", "left", "")]
    spent = left = 0.0
    for run in found:
        step, hours = run.progress()
        rest = run.hours if step == 0 or hours is None else hours * (run.last - step) / step
        spent, left = spent + (hours or 0.0), left + rest
        process = holder(run.config.out) if run.config.out.exists() else None
        about = "finished" if step >= run.last else f"in training by {process}" if process else ""
        known = "?" if hours is None else f"{hours:.2f}"
        rows.append((run.name, str(step), str(run.last), known, f"{rest:.1f}", about))
    rows.append(("in all", "", "", f"{spent:.2f}", f"{left:.1f}", ""))
    wide = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for name, *cells, about in rows:
        right = [cell.rjust(width) for cell, width in zip(cells, wide[1:], strict=True)]
        lines.append("  ".join([name.ljust(wide[0]), *right, about]).rstrip())
    return "\n".join(lines)
