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
from agent.system.seal import sealed
from agent.system.versions import commit, versions
from experiments.common.array_files import read_arrays
from experiments.common.json_files import FILES, check_digest, digests, read_json


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
    files = [f"{name}.csv"] * bool(numbers.rows) + [f"{name}.npz"] * bool(numbers.arrays)
    facts = {"command": command, "commit": commit(), "versions": versions()} | numbers.facts
    facts |= {FILES: digests(folder, files)} if files else {}
    plain = json.loads(json.dumps(facts, default=lambda value: value.tolist()))  # NumPy arrays and numbers
    write_file(folder / f"{name}.json", f"{json.dumps(sealed(plain), indent=1)}\n".encode())


def read_numbers(folder: Path, name: str, suffixes: Sequence[str], remedy: str = "") -> Numbers:
    """Read the files of numbers with these suffixes (json, csv, npz).

    Raises:
        ValueError: if one is missing, damaged or altered; the message ends with the remedy.
    """
    facts = read_json(folder / f"{name}.json", remedy, command=str) if "json" in suffixes else {}
    found: dict[str, Any] = {"csv": [], "npz": {}}
    for suffix in (each for each in suffixes if each != "json"):
        path = folder / f"{name}.{suffix}"
        check_digest(path, path.name, facts, remedy)
        found[suffix] = read_rows(path, remedy) if suffix == "csv" else read_arrays(path, remedy)
    return Numbers(facts, found["csv"], found["npz"])


def read_rows(path: Path, remedy: str) -> list[dict[str, str]]:
    """Read a CSV file with a header.

    Raises:
        ValueError: if it cannot be read as such, or has a row of another length; the message ends with the remedy.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        if not rows or any(None in row or None in row.values() for row in rows):
            raise ValueError("a row has another number of columns than the first one")
    except (csv.Error, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): {remedy}") from error
    return rows
