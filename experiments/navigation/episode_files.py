"""The files of a benchmark, and the finished episodes of each agent, one CSV row per episode.

| file | content |
|---|---|
| `config.json` | what determines the results |
| `episodes/AGENT.csv` | one row per episode, written in whole batches |
| `paths/AGENT.npz` | where the agent went in the first episodes; outside the maze, what it saw first and last |
| `summary.json` | the numbers, and the SHA-256 of these files |
| `*.png` | the figures |
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agent.system.atomic_files import write_file
from envs.dynamics import FEWEST_LIFE_STEPS
from experiments.common.array_files import read_arrays
from experiments.common.json_files import check_digest, damage_named, read_json

SUMMARY, EPISODES, PATHS = "summary.json", "episodes", "paths"
RECORDED = 6  # episodes whose paths are kept
MAZE, SEEN = ("pose", "goal"), ("start", "end", "goal")  # what is kept of them, in a maze and elsewhere

COLUMNS: dict[str, type] = {
    "agent": str,
    "seed": int,
    "steps": int,
    "reward": int,
    "success": int,
    "shortest_path": int,
    "decisions": int,
    "transitions": int,
    "planning_seconds": float,
}
"""Columns and their types; `success` is 0 or 1, an unknown `shortest_path` 0, the last has microsecond resolution."""

AGENT: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("label", "model", "variant", "preset", "run", "checkpoint"), str),
    **dict.fromkeys(("budget", "training_seed", "trained_steps"), int),
    "planner": dict,
    "transitions_per_decision": (int, float, type(None)),
}
"""What a summary says of a trained agent, with its types."""
AGAIN = "run the benchmark again with --overwrite"


class Rules(NamedTuple):
    """What holds for the episodes of a benchmark."""

    life_steps: int = FEWEST_LIFE_STEPS
    may_fail: bool = False
    """whether an episode may end unsolved before that, as in environments other than the maze"""

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> Rules:
        """Those of a summary, or of what is known before there is one."""
        return cls(life_steps_of(summary), "environment" in summary)


MAZE_RULES = Rules()
"""those of most mazes"""


class EpisodeFile:
    """An agent's episodes so far; a killed run resumes after the last whole batch.

    Only whole batches are kept, since a planner's random samples depend on the batch.
    """

    def __init__(self, path: Path, agent: str, seeds: range, batch: int, rules: Rules = MAZE_RULES) -> None:
        """Open or create a file for the episodes of these seeds, and truncate what a killed run left incomplete.

        Raises:
            ValueError: if a complete row is not the expected episode.
        """
        self.path, self.agent, self.seeds, self.batch = path, agent, seeds, batch
        rows = _whole_rows(path, agent, seeds, rules) if path.exists() else []
        self.finished = len(rows) if len(rows) == len(seeds) else len(rows) // batch * batch
        content = _text([COLUMNS, *rows[: self.finished]])
        if not path.exists() or path.read_bytes() != content.encode():
            write_file(path, content.encode())

    @property
    def remaining(self) -> list[range]:
        """Seeds of the remaining batches."""
        left = self.seeds[self.finished :]
        return [left[first : first + self.batch] for first in range(0, len(left), self.batch)]

    def append(self, result: Mapping[str, np.ndarray]) -> None:
        """Append a batch and sync the file."""
        numbers = {name: kind for name, kind in COLUMNS.items() if kind is not str}
        columns = [
            [f"{value:.6f}" if kind is float else int(value) for value in result[name]]
            for name, kind in numbers.items()
        ]
        with self.path.open("a") as file:
            file.write(_text([self.agent, *values] for values in zip(*columns, strict=True)))
            file.flush()
            os.fsync(file.fileno())
        self.finished += len(columns[0])


def read_episodes(folder: Path, agent: str, summary: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """An agent's episodes in a finished benchmark: one array per column except `agent`.

    Args:
        folder: the benchmark's folder.
        agent: its name.
        summary: its summary, or at least ``episodes``, ``first_seed``, ``environment`` if there is one and, unless
            100, ``life_steps``.

    Raises:
        ValueError: if the file is missing or was altered, a row breaks the rules of an episode, or rows are missing.
    """
    name = f"{EPISODES}/{agent}.csv"
    path, first = folder / name, summary["first_seed"]
    check_digest(path, name, summary, AGAIN)
    rows = _whole_rows(path, agent, range(first, first + summary["episodes"]), Rules.of(summary))
    if len(rows) != summary["episodes"]:
        raise ValueError(f"{path} has {len(rows)} of {summary['episodes']} episodes: {AGAIN}")
    columns = zip(COLUMNS.items(), zip(*rows, strict=True), strict=True)
    return {name: np.array([kind(value) for value in column]) for (name, kind), column in columns if name != "agent"}


def read_summary(folder: Path) -> dict[str, Any]:
    """The numbers of a finished benchmark.

    Raises:
        ValueError: if the folder holds none, or one that was altered or is of an older version.
    """
    path, remedy = folder / SUMMARY, f"{folder} holds no finished benchmark, run 'jumpy benchmark --out {folder}'"
    summary = read_json(path, remedy, episodes=int, first_seed=int, agents=dict)
    with damage_named(path, remedy):
        if not isinstance(summary.get("layout"), str) and not isinstance(summary.get("environment"), dict):
            raise TypeError("it names neither a layout nor an environment")
        for entry in summary["agents"].values():
            for key, kind in AGENT.items() if entry.get("trained") else ():
                if not isinstance(entry[key], kind):
                    raise TypeError(f"{key} is a {type(entry[key]).__name__}")
    if not all("trained" in entry for entry in summary["agents"].values()):
        raise ValueError(f"{folder} holds a benchmark of an older version: {AGAIN}")
    return summary


def life_steps_of(summary: Mapping[str, Any]) -> int:
    """The life steps of a benchmark's layout; files of older versions, which do not name them, have 100."""
    return summary.get("life_steps", FEWEST_LIFE_STEPS)


def written(agents: Iterable[str]) -> list[str]:
    """The files of a benchmark's agents, by their paths in its folder."""
    return [f"{folder}/{agent}.{suffix}" for agent in agents for folder, suffix in ((EPISODES, "csv"), (PATHS, "npz"))]


def write_paths(path: Path, result: Mapping[str, np.ndarray]) -> None:
    """Write the paths of an agent's first episodes, from a recorded result of `navigate`."""
    content = io.BytesIO()
    first = {name: result[name][:RECORDED] for name in ("seed", "steps", *(MAZE if "pose" in result else SEEN))}
    np.savez(content, allow_pickle=False, **first)
    write_file(path, content.getvalue())


def read_paths(folder: Path, agent: str, summary: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """``seed`` (E,) and ``steps`` (E,) of an agent's first episodes, and where it went.

    In a maze that is ``pose`` (E, life steps + 1, 4) and ``goal`` (E, 2), elsewhere the frames ``start`` and ``end``
    (E, s, s, 3) and ``goal`` (E, …). Args as of `read_episodes`.

    Raises:
        ValueError: if the file is missing, damaged or altered.
    """
    name, remedy = f"{PATHS}/{agent}.npz", "run the benchmark again, which makes it again"
    path, first = folder / name, summary["first_seed"]
    check_digest(path, name, summary, remedy)
    elsewhere = "environment" in summary
    paths = read_arrays(path, remedy, "seed", "steps", *(SEEN if elsewhere else MAZE))
    number = paths["seed"].size  # at most a batch
    expected: dict[str, tuple[int, ...]] = {"seed": (number,), "steps": (number,)}
    if elsewhere:
        expected |= dict.fromkeys(("start", "end"), (number, *paths["start"].shape[1:2] * 2, 3))
        expected["goal"] = (number, *paths["goal"].shape[1:])
    else:
        expected |= {"goal": (number, 2), "pose": (number, life_steps_of(summary) + 1, 4)}
    shapes = {name: array.shape for name, array in paths.items()}
    if not 1 <= number <= RECORDED or shapes != expected or (paths["seed"] != np.arange(first, first + number)).any():
        raise ValueError(f"{path} does not hold the paths of the first episodes: {remedy}")
    return paths


def _whole_rows(path: Path, agent: str, seeds: Sequence[int], rules: Rules) -> list[list[str]]:
    """The rows of an episode file up to the last line break.

    Raises:
        ValueError: if a row is not the expected episode, or breaks the rules of an episode.
    """
    text = path.read_bytes().decode("ascii", "replace")
    header, *rows = [line.split(",") for line in text.split("\n")[:-1]] or [list(COLUMNS)]
    if header != list(COLUMNS):
        raise ValueError(f"{path} does not begin with the columns {', '.join(COLUMNS)}: {AGAIN}")
    for number, row in enumerate(rows):
        seed = seeds[number] if number < len(seeds) else None
        if row[:2] != [agent, str(seed)] or not _is_episode(row, rules):
            raise ValueError(
                f"{path}, line {number + 2}: expected the episode of {agent} with seed {seed}, "
                f"got {','.join(row)!r}: {AGAIN}"
            )
    return rows


def _is_episode(row: list[str], rules: Rules) -> bool:
    """Whether a row's numbers are written as `EpisodeFile` writes them, and can be those of an episode."""
    try:
        _, _, steps, reward, success, shortest, decisions, transitions = numbers = [0, *map(int, row[1:-1])]
        seconds = float(row[-1])
    except ValueError:  # another number of columns, or not a number
        return False
    if [*map(str, numbers[1:]), f"{seconds:.6f}"] != row[1:] or min(numbers[1:]) < 0:
        return False
    return (
        success in (0, 1)
        and steps <= rules.life_steps
        and (steps >= shortest if success else rules.may_fail or steps == rules.life_steps)
        and reward == (rules.life_steps - steps if success else 0)
        and decisions <= steps
        and (decisions > 0 or transitions == 0)
        and 0 <= seconds < math.inf
    )


def _text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
