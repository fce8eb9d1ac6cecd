"""Every command that writes a folder, at a size that takes seconds, and what must be equal after any accident."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

from agent.training.checkpoint import read_checkpoint
from agent.training.runs import CHECKPOINT
from tests.hostile.forked import Forked

SOURCES = {
    "maze": "collect --steps 20000",
    "balls": "videos moving-ball --sequences 40 --length 60",
    "hrssm": "train --data SOURCES/maze --steps 1 --batch-size 2 --device cpu",
    "dlh": "train --model dlh --data SOURCES/balls --steps 1 --batch-size 2 --device cpu --options levels=2 window=40",
}
COMMANDS = {
    "collect": "collect --steps 40000 --out OUT",
    "videos": "videos moving-ball --sequences 300 --length 60 --out OUT",
    "train": "train --data SOURCES/maze --steps 8 --batch-size 8 --checkpoint-every 2 --device cpu --out OUT",
    "benchmark": "benchmark --agents hrssm=pretrained --episodes 100 --batch 10 --processes 1 --device cpu --out OUT",
    "navigation": (
        "navigation --hrssm SOURCES/hrssm --episodes 40 --gap-episodes 10 --device cpu --json OUT/n.json --out OUT/n"
    ),
    "predict": (
        "predict --run SOURCES/dlh --data SOURCES/balls --samples 20 --sequences 4 --context 30 --device cpu --out OUT"
    ),
    "unseen": (
        "unseen --layouts random-7001 --frames 2000 --steps 2 --points 1 --episodes 10 --device cpu "
        "--numbers OUT/numbers --out OUT/runs"
    ),
    "demo": "demo --frames 2000 --hrssm-steps 3 --rssm-steps 3 --episodes 10 --device cpu --out OUT",
    "plot": "plot SOURCES/benchmark",
    "figure": "figure vta-8 --out OUT",
    "table": "table all --out OUT",
    "speed": "speed --out OUT",
}
TWO_PROCESSES = "benchmark, two processes"
COMMANDS[TWO_PROCESSES] = COMMANDS["benchmark"].replace("--processes 1", "--processes 2")
WAITING = ("figure", "table", "speed")
"""they write single files and take turns instead of refusing"""
TIMES = ("planning_seconds", "ms_per_decision", "minutes", "cpu_minutes", "trained_seconds", "about")
PLACES = ("command", "run", "checkpoint", "sha256", "files")
"""what else may differ between two calls: where files lie, and the checksums of files that say so or hold times"""


def arguments(text: str, sources: Path, out: Path | None = None) -> list[str]:
    """The arguments of a command."""
    return text.replace("SOURCES", str(sources)).replace("OUT", str(out)).split()


def make_sources(folder: Path) -> None:
    """Make what the commands read."""
    for name, text in SOURCES.items():
        _whole([*arguments(text, folder), "--out", str(folder / name)], folder / f"{name}.log")
    benchmark = ["benchmark", "--episodes", "40", "--out", str(folder / "benchmark")]
    _whole(benchmark, folder / "benchmark.log")


def _whole(arguments: list[str], log: Path) -> None:
    if Forked(arguments, log).wait() != 0:
        raise RuntimeError(f"{' '.join(arguments)} failed: {log.read_text()}")


def facts(folder: Path) -> dict[str, Any]:
    """What a finished command leaves, by path: contents without what may differ; unreadable files raise."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and "tensorboard" not in path.parts and path.suffix != ".log" and path.name[0] != ".":
            found[name] = _fact(path)
    return found


def _fact(path: Path) -> Any:
    if path.name == CHECKPOINT:
        tensors, meta = read_checkpoint(path)
        digest = hashlib.sha256(b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors)))
        return meta["step"], digest.hexdigest()
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return [[row[name] for name in row if name not in TIMES] for row in csv.DictReader(file)]
    if path.suffix == ".json":
        return _without_times(json.loads(path.read_text()))
    return None if path.name in _DRAWN else hashlib.sha256(path.read_bytes()).hexdigest()


_DRAWN = ("unseen.png",)  # it shows minutes


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(each) for key, each in value.items() if key.split(": ")[-1] not in TIMES + PLACES}
    return [_without_times(each) for each in value] if isinstance(value, list) else value
