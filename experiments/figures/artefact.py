"""One figure or table of the results: what it is measured from, its numbers and their files, and how it is rendered.

| file | content |
|---|---|
| `NAME.json` | how the numbers were made (command, versions, commit, runs, seeds), and whatever is small |
| `NAME.csv` | one row per point, where there are many |
| `NAME.npz` | frames, uint8 |

An artefact is rendered from these files alone, as `NAME.png`, or as texts `NAME.md` and `NAME.csv`.
"""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure

from agent.system.atomic_files import write_file
from agent.system.versions import commit, versions


@dataclass(frozen=True)
class Sources:
    """What numbers are measured from. Each figure and table says what it needs."""

    runs: tuple[str, ...] = ()
    """Trained runs, as PATH or LABEL=PATH; PATH is a run folder, or pretrained/MODEL-VARIANT. Several runs of one label
    (by default the model) are its training seeds."""
    predictions: tuple[Path, ...] = ()
    """Folders that 'jumpy predict' wrote (its --out)."""
    benchmarks: tuple[Path, ...] = ()
    """Folders with benchmarks of the same episodes, as the --out of 'jumpy navigation'."""
    navigation: tuple[str, ...] = ()
    """JSON files of 'jumpy navigation', as LABEL=FILE."""
    data: tuple[Path, ...] = ()
    """Data sets that the runs were trained on; their test splits count."""
    sequences: int | None = None
    """Test videos that runs are measured on, the first of them; default: all."""
    seed: int = 0
    """Of whatever is sampled."""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda."""

    def __post_init__(self) -> None:
        """Check the ranges of the counts."""
        if self.sequences is not None and self.sequences < 1:
            raise ValueError(f"--sequences must be at least 1, got {self.sequences}")
        if self.seed < 0:
            raise ValueError(f"--seed must be 0 or more, got {self.seed}")

    def given(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value != getattr(Sources, name)}


@dataclass(frozen=True)
class Numbers:
    """What an artefact is rendered from."""

    facts: dict[str, Any]
    """JSON"""
    rows: Sequence[dict[str, Any]] = ()
    """CSV; read back, every value is text"""
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    """NPZ"""


@dataclass(frozen=True)
class Artefact:
    """One entry of the registry."""

    render: Callable[[Numbers], Figure | dict[str, str]]
    """makes a figure, or texts by the suffixes of their files"""
    measure: Callable[..., Numbers | None] | None = None
    """makes the numbers from the options in `needs` and `accepts`, by name; gives None if there is nothing to show"""
    files: tuple[str, ...] = ("json",)
    """suffixes of the files of its numbers"""
    needs: Mapping[str, str] = field(default_factory=dict)
    """the options of `Sources` that it is measured from, with what to give; several where that ends in …"""
    accepts: tuple[str, ...] = ()
    """options of `Sources` that it can do without"""
    models: tuple[str, ...] = ()
    """models that `runs` may be of; none: any"""
    trained_on: Literal["maze", "videos"] | None = None
    """what `runs` must have been trained on; None: either"""
    origin: str = ""
    """where the numbers come from if there is nothing to measure them with"""

    def remedy(self, command: str) -> str:
        """How to get the numbers, with `command` such as 'jumpy figure NAME'."""
        if self.measure is None:
            return self.origin
        options = "".join(f" --{option} {what}" for option, what in self.needs.items())
        models = f" (runs of {' or '.join(self.models)})" if self.models else ""
        return f"make it with '{command} --measure{options}'{models}"


def split_label(text: str) -> tuple[str, str]:
    """The label and the path of LABEL=PATH; without a label the first is empty."""
    label, equals, path = text.partition("=")
    return (label, path) if equals else ("", text)


def command_line(command: str, sources: Sources) -> str:
    """The command that measures the numbers, with `command` such as 'jumpy figure NAME'."""
    words = [*command.split(), "--measure"]
    for option, value in (sources.given() | {"seed": sources.seed}).items():
        words += [f"--{option}", *map(str, value if isinstance(value, tuple) else (value,))]
    return shlex.join(words)


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, below the names of their columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_numbers(folder: Path, name: str, numbers: Numbers, command: str) -> None:
    """Write an artefact's numbers, the JSON with their origin last.

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
    write_file(folder / f"{name}.json", (json.dumps(facts, indent=1, default=_plain) + "\n").encode())


def read_numbers(folder: Path, name: str, suffixes: Sequence[str], remedy: str = "") -> Numbers:
    """Read the files of an artefact's numbers.

    Args:
        folder: where they are.
        name: of the artefact.
        suffixes: json, csv, npz: those that it has.
        remedy: how to make them.

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
        except Exception as error:  # zip, JSON and text have each their own errors
            raise ValueError(f"{path} is damaged ({type(error).__name__}): {remedy}") from error
    return Numbers(found["json"], found["csv"], found["npz"])


def _plain(value: Any) -> Any:
    """An array or a number of numpy as JSON has it."""
    return value.tolist() if isinstance(value, np.ndarray) else value.item()


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, strict=True))


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)


_READERS = {"json": lambda path: json.loads(path.read_text()), "csv": _read_csv, "npz": _read_npz}
