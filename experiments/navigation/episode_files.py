"""The files of a benchmark, and the finished episodes of each agent, one CSV row per episode.

| file | content |
|---|---|
| `config.json` | what determines the results |
| `episodes/AGENT.csv` | one row per episode, written in whole batches |
| `paths/AGENT.npz` | where the agent went in the first episodes |
| `summary.json` | the numbers |
| `*.png` | the figures |
"""

import csv
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agent.system.atomic_files import write_file
from experiments.common.json_files import read_json

SUMMARY, EPISODES, PATHS = "summary.json", "episodes", "paths"
RECORDED = 6  # episodes whose paths are kept

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
"""Columns and their types; `success` is 0 or 1, the last one has microsecond resolution."""


class EpisodeFile:
    """An agent's episodes so far; a killed run resumes after the last whole batch.

    Only whole batches are kept, since a planner's random samples depend on the batch.
    """

    def __init__(self, path: Path, agent: str, seeds: range, batch: int) -> None:
        """Open or create a file for the episodes of these seeds, and truncate what a killed run left incomplete.

        Raises:
            ValueError: if a complete row is not the expected episode.
        """
        self.path, self.agent, self.seeds, self.batch = path, agent, seeds, batch
        rows = self._whole_rows()
        self.finished = len(rows) if len(rows) == len(seeds) else len(rows) // batch * batch
        content = _text([COLUMNS, *rows[: self.finished]])
        if not path.exists() or path.read_text() != content:
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

    def _whole_rows(self) -> list[list[str]]:
        """Rows up to the last line break, validated against the seeds."""
        if not self.path.exists():
            return []
        text = self.path.read_text()
        rows = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))
        if rows and rows[0] != list(COLUMNS):
            raise ValueError(f"{self.path} does not begin with the columns {', '.join(COLUMNS)}: use --overwrite")
        for number, row in enumerate(rows[1:]):
            seed = self.seeds[number] if number < len(self.seeds) else None
            if row[:2] != [self.agent, str(seed)] or len(row) != len(COLUMNS):
                raise ValueError(
                    f"{self.path}, line {number + 2}: expected the episode of {self.agent} with seed {seed}, "
                    f"got {','.join(row)!r}: use --overwrite"
                )
        return rows[1:]


def read_episodes(path: Path) -> dict[str, np.ndarray]:
    """One array per column except `agent`.

    Raises:
        ValueError: if the file is missing or a row cannot be read.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing: run the benchmark again")
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    if not rows or any(len(row) != len(COLUMNS) for row in rows):
        raise ValueError(f"{path} has no rows of {len(COLUMNS)} columns: run the benchmark again")
    columns = zip(COLUMNS.items(), zip(*rows, strict=True), strict=True)
    return {name: np.array([kind(value) for value in column]) for (name, kind), column in columns if name != "agent"}


def read_summary(folder: Path) -> dict[str, Any]:
    """The numbers of a finished benchmark.

    Raises:
        ValueError: if the folder holds none, or one of an older version.
    """
    remedy = f"{folder} holds no finished benchmark, run 'jumpy benchmark --out {folder}'"
    summary = read_json(folder / SUMMARY, remedy, "agents")
    if not all("trained" in entry for entry in summary["agents"].values()):
        raise ValueError(f"{folder} holds a benchmark of an older version: run it again with --overwrite")
    return summary


def write_paths(path: Path, result: Mapping[str, np.ndarray]) -> None:
    """Write the paths of an agent's first episodes, from a recorded result of `navigate`."""
    content = io.BytesIO()
    first = {name: result[name][:RECORDED] for name in ("seed", "steps", "pose", "goal")}
    np.savez(content, allow_pickle=False, **first)
    write_file(path, content.getvalue())


def read_paths(path: Path) -> dict[str, np.ndarray]:
    """``seed`` (E,), ``steps`` (E,), ``pose`` (E, 101, 4) and ``goal`` (E, 2) of an agent's first episodes.

    Raises:
        ValueError: if the file is missing.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing: run the benchmark again")
    with np.load(path) as arrays:
        return dict(arrays)


def _text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
