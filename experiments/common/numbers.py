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


def print_numbers(numbers: Mapping[str, Any], prefix: str = "") -> None:
    """Print numbers one per line, under the names that they have in a JSON file."""
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            print_numbers(value, f"{prefix}{name}.")
        else:
            form = "" if not isinstance(value, float) else ",.0f" if value >= 1000 else ".4g"
            print(f"{prefix + name:<40} {value if value is None else format(value, form)}", flush=True)


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
    text = json.dumps(facts, indent=1, default=lambda value: value.tolist())  # NumPy arrays and numbers
    write_file(folder / f"{name}.json", f"{text}\n".encode())


def read_numbers(folder: Path, name: str, suffixes: Sequence[str], remedy: str = "") -> Numbers:
    """Read the files of numbers with these suffixes (json, csv, npz).

    Raises:
        ValueError: if one is missing or damaged; the message ends with the remedy.
    """
    found: dict[str, Any] = {"json": {}, "csv": [], "npz": {}}
    for suffix in suffixes:
        path = folder / f"{name}.{suffix}"
        if not path.is_file():
            raise ValueError(f"{path} is missing: {remedy}")
        try:
            found[suffix] = _read(path)
        except Exception as error:  # zip, JSON and text have errors of their own
            raise ValueError(f"{path} is damaged ({type(error).__name__}): {remedy}") from error
    return Numbers(found["json"], found["csv"], found["npz"])


def _read(path: Path) -> Any:
    """Read one file, as its suffix says."""
    if path.suffix == ".json":
        return json.loads(path.read_text())
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file, strict=True))
    with np.load(path) as arrays:
        return dict(arrays)
