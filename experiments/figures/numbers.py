"""The numbers behind a figure: what they are measured from, and their files.

| file | content |
|---|---|
| `NAME.json` | how they were made (command, versions, commit, runs, seeds), and whatever is small |
| `NAME.csv` | a row a point, where there are many |
| `NAME.npz` | frames, uint8 |

A figure is drawn from these files alone.
"""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent.system.atomic_files import write_file
from agent.system.versions import commit, versions
from experiments.common.pretrained import find_run
from experiments.common.trained_runs import Trained, load_run_of
from experiments.navigation.agents import checkpoint_sha256


@dataclass(frozen=True)
class Sources:
    """What numbers are measured from. Each figure says what it needs."""

    hrssm: tuple[str, ...] = ()
    """HRSSM runs, one a training seed: run folders, or shipped weights as pretrained/MODEL-VARIANT."""
    rssm: tuple[str, ...] = ()
    """RSSM runs likewise."""
    dlh: tuple[str, ...] = ()
    """DLH runs on videos: their folders."""
    cwvae: tuple[str, ...] = ()
    """A CW-VAE run on the same videos."""
    predictions: tuple[Path, ...] = ()
    """Folders that 'jumpy predict' wrote (its --out)."""
    benchmarks: tuple[Path, ...] = ()
    """Folders with the benchmarks of 'jumpy navigation' (its --out), of one variant and preset."""
    data: tuple[Path, ...] = ()
    """Data set of 'jumpy videos' that the run was trained on; its test split counts."""
    compare: tuple[str, ...] = ()
    """What stands side by side, as LABEL=PATH: a run folder, or a JSON file of 'jumpy navigation'. Several runs under
    one label are its training seeds."""
    seed: int = 0
    """Of the context, the passages and the samples of generated frames."""


@dataclass(frozen=True)
class Numbers:
    """What a figure is drawn from."""

    facts: dict[str, Any]
    """JSON"""
    rows: Sequence[dict[str, Any]] = ()
    """CSV; read back, every value is text"""
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def write(folder: Path, name: str, numbers: Numbers, sources: Sources) -> None:
    """Write a figure's files, the JSON with its origin last.

    Raises:
        OSError: if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if numbers.arrays:
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **numbers.arrays)
        write_file(folder / f"{name}.npz", content.getvalue())
    if numbers.rows:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(numbers.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(numbers.rows)
        write_file(folder / f"{name}.csv", text.getvalue().encode())
    facts = {"command": _command(name, sources), "commit": commit(), "versions": versions()} | numbers.facts
    write_file(folder / f"{name}.json", (json.dumps(facts, indent=1, default=_plain) + "\n").encode())


def read(folder: Path, name: str, suffixes: Sequence[str], remedy: str) -> Numbers:
    """Read the files of a figure.

    Args:
        folder: where they lie.
        name: of the figure.
        suffixes: json, csv, npz: those that this figure has.
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


def load_trained(source: str, kind: str, videos: bool = False) -> Trained:
    """Load a run folder or shipped weights of a kind of model, trained in a maze or on videos, on the CPU.

    Raises:
        ValueError: if there is no such run, or it is of another kind or of other data.
    """
    return load_run_of(find_run(source, kind).path, kind, torch.device("cpu"), videos)


def about(run: Trained, source: str) -> dict[str, Any]:
    """What a figure's numbers say of a run."""
    names = ("model", "preset", "variant", "seed", "layout", "dataset")
    known = {name: run.training[name] for name in names if name in run.training}
    name = find_run(source, run.training["model"]).name
    return {"run": name, "checkpoint": checkpoint_sha256(run.path), "trained_steps": run.step} | known


def labelled(pairs: Sequence[str]) -> list[tuple[str, str]]:
    """The parts of LABEL=PATH.

    Raises:
        ValueError: if one has no label or no path.
    """
    parts = [pair.partition("=") for pair in pairs]
    for pair, (label, _, path) in zip(pairs, parts, strict=True):
        if not label or not path:
            raise ValueError(f"--compare needs LABEL=PATH, got {pair!r}: put a label before it, as 'ours={pair}'")
    return [(label, path) for label, _, path in parts]


def _command(name: str, sources: Sources) -> str:
    """The command that makes the numbers."""
    words = ["jumpy", "figure", name, "--measure"]
    for option in ("hrssm", "rssm", "dlh", "cwvae", "predictions", "benchmarks", "data", "compare"):
        if given := getattr(sources, option):
            words += [f"--{option}", *map(str, given)]
    return shlex.join([*words, "--seed", str(sources.seed)])


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
