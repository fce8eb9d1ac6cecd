"""The numbers behind a figure or table, and their files.

| file | content |
|---|---|
| `NAME.json` | origin of the numbers (command, versions, commit, runs, seeds), and small data |
| `NAME.csv` | one row per point, where there are many |
| `NAME.npz` | frames, uint8 |
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from agent.system.atomic_files import write_file
from agent.system.versions import commit, versions


@dataclass(frozen=True)
class Numbers:
    """The data of a figure or table."""

    facts: dict[str, Any]
    """JSON"""
    rows: Sequence[dict[str, Any]] = ()
    """CSV; when read back, every value is text"""
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    """NPZ"""


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_numbers(folder: Path, name: str, numbers: Numbers, command: str) -> None:
    """Write numbers, with the JSON and its origin last.

    Raises:
        OSError: if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if numbers.arrays:
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **numbers.arrays)
        write_file(folder / f"{name}.npz", content.getvalue())
    if numbers.rows:
        write_file(folder / f"{name}.csv", csv_text(numbers.rows).encode())
    facts = {"command": command, "commit": commit(), "versions": versions()} | numbers.facts
    write_file(
        folder / f"{name}.json", (json.dumps(facts, indent=1, default=lambda value: value.tolist()) + "\n").encode()
    )


def read_numbers(folder: Path, name: str, suffixes: Sequence[str], remedy: str = "") -> Numbers:
    """Read the files of numbers.

    Args:
        folder: their folder.
        name: name of the figure or table.
        suffixes: those of json, csv and npz that it has.
        remedy: how to make them, for the message.

    Raises:
        ValueError: if one is missing or damaged.
    """
    found: dict[str, Any] = {"json": {}, "csv": [], "npz": {}}
    for suffix in suffixes:
        path = folder / f"{name}.{suffix}"
        if not path.is_file():
            raise ValueError(f"{path} is missing: {remedy}")
        try:
            found[suffix] = _READERS[suffix](path)
        except Exception as error:  # zip, JSON and text have errors of their own
            raise ValueError(f"{path} is damaged ({type(error).__name__}): {remedy}") from error
    return Numbers(found["json"], found["csv"], found["npz"])


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, strict=True))


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)


_READERS = {"json": lambda path: json.loads(path.read_text()), "csv": _read_csv, "npz": _read_npz}
