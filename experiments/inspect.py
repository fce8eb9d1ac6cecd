"""`jumpy inspect`: what a data set, a run, a benchmark or shipped weights are, in about ten lines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from agent.data.manifest import MANIFEST
from agent.data.replay import Replay
from agent.system.atomic_files import holder
from agent.training.checkpoint import read_checkpoint
from agent.training.runs import CHECKPOINT
from experiments.common.pretrained import WORD, find_run, read_manifest
from experiments.common.result_folder import CONFIG
from experiments.common.trained_runs import place_of
from experiments.navigation.agents import CEILING
from experiments.navigation.episode_files import SUMMARY, read_episodes, read_summary
from experiments.navigation.summary import aligned
from world_models.registry import complete, spec_of, variant_label

Lines = dict[str, str]
"""what is told, by its name"""


@dataclass(frozen=True)
class InspectConfig:
    """Say what a folder or file of ours is, with its sizes, settings, steps, hash and health."""

    path: tyro.conf.Positional[str]
    """A data set, a run or its checkpoint, a benchmark, or shipped weights: pretrained/MODEL-VARIANT, or pretrained for
    the list of them."""


def inspect(config: InspectConfig) -> Lines:
    """Print what is there, and return it.

    Raises:
        ValueError: if it is missing, damaged or not ours; everything is checked against its SHA-256.
    """
    lines = _read(config.path)
    rows = [[name, value] for name, value in lines.items()]
    print("\n".join(line.rstrip() for line in aligned(rows, str.ljust)))
    return lines


def _read(given: str) -> Lines:
    """Find out what it is."""
    if given == WORD:
        return _shipped()
    if given.startswith(f"{WORD}/"):
        path, name = find_run(given)
        origin = read_manifest()[name.removeprefix(f"{WORD}/")]
        told = ("frames", "minutes", "device")
        return _run(path, "shipped weights") | {key: str(origin[key]) for key in told if key in origin}
    path = Path(given)
    kinds: dict[str, Callable[[Path], Lines]] = {MANIFEST: _data, CHECKPOINT: _run, SUMMARY: _benchmark}
    for name, tell in kinds.items():
        if (path / name).is_file():
            return tell(path) | _busy(path)
    if path.is_file() and path.suffix == ".safetensors":
        return _run(path)
    if (path / CONFIG).is_file():
        raise ValueError(f"{path} holds results that are not finished: repeat the command that makes them")
    what = "is nothing of ours" if path.exists() else "does not exist"
    raise ValueError(
        f"{path} {what}: give a data set of 'jumpy collect', a run of 'jumpy train', a folder of 'jumpy benchmark', or "
        f"{WORD}"
    )


def _data(path: Path) -> Lines:
    """A data set, every byte of it checked."""
    manifest = Replay.open(path).manifest
    written, whole = manifest.episodes_written, manifest.episodes
    stored = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    splits = ", ".join(f"{name} {len(manifest.split(name))}" for name in ("train", "validation", "test"))
    size = manifest.frame_size
    state = "complete" if written == whole else f"{written} of {whole} episodes: repeat the command that made it"
    return {
        "what": f"data set ({manifest.kind})",
        "frames": f"{written * manifest.length:,} of {size} × {size} pixels",
        "episodes": f"{written:,} of {manifest.length} frames ({splits})",
        "settings": ", ".join(f"{name} {value}" for name, value in manifest.settings.items()),
        "size": _size(stored),
        "versions": _listed(manifest.versions),
        "SHA-256": manifest.digest,
        "health": f"every shard matches its SHA-256; {state}",
    }


def _run(path: Path, what: str = "trained run") -> Lines:
    """A run or its checkpoint, every tensor of it checked."""
    file = path / CHECKPOINT if path.is_dir() else path
    tensors, meta = read_checkpoint(file)
    if not isinstance(meta, dict) or not isinstance(meta.get("run"), dict):
        raise ValueError(f"{file} is a checkpoint, but not of a training run: use one of 'jumpy train'")
    run = meta["run"]
    model = {name: value for name, value in tensors.items() if name.startswith("model.")}
    broken = [name for name, value in model.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    seconds = meta.get("trained_seconds") or {}
    steps = run.get("recipe", {}).get("steps")
    subject = ("layout", "environment", "dataset", "video")
    data = _listed({name: run[name] for name in subject if name in run})
    return {
        "what": what,
        "model": f"{run['model']}, {run['preset']}, {_variant(run)}, seed {run['seed']}",
        "parameters": f"{sum(value.numel() for value in model.values()):,}",
        "trained": f"{meta['step']:,}{f' of {steps:,}' if steps else ''} steps"
        + "".join(f", {time / 60:.1f} min on {device}" for device, time in seconds.items()),
        "data": f"{data}, frames of {run['config'].get('frame_size', 32)} pixels",
        "settings": _listed(run.get("recipe", {})),
        "size": f"{_size(file.stat().st_size)}{'' if len(tensors) > len(model) else ', weights only'}",
        "versions": _listed(meta.get("versions", {})),
        "SHA-256": _digest(file),
        "health": f"weights that are not finite: {', '.join(broken)}" if broken else "every tensor is whole and finite",
    }


def _variant(run: dict[str, Any]) -> str:
    """The variant, with the options that differ from it where this version still knows them."""
    try:
        options, spec = complete(run["model"], run["config"])["options"], spec_of(run["model"])
        return variant_label(run["model"], run["variant"], type(spec.variants[run["variant"]])(**options))
    except (ValueError, KeyError, TypeError):
        return str(run["variant"])


def _benchmark(path: Path) -> Lines:
    """A benchmark, every episode of it checked."""
    summary = read_summary(path)
    for name in summary["agents"]:
        read_episodes(path, name, summary)
    first, number = summary["first_seed"], summary["episodes"]
    lines = {
        "what": "benchmark",
        "episodes": f"{number:,}, seeds {first} to {first + number - 1}, {place_of(summary)}",
    }
    for name, entry in summary["agents"].items():
        over = None if name == CEILING else entry["reward_over_ceiling"]
        ceiling = "" if over is None else f", {over:.3f} of the ceiling"
        its = f", {entry['planner']['kind']}, budget {entry['budget']}, {entry['run']}" if entry["trained"] else ""
        lines[name] = f"reward {entry['mean_reward']:.1f}{ceiling}, {entry['success']:.1%} solved{its}"
    return lines | {
        "versions": _listed(summary.get("versions", {})),
        "SHA-256": _digest(path / SUMMARY),
        "health": "complete; every episode keeps the rules and matches its SHA-256",
    }


def _shipped() -> Lines:
    """All shipped weights."""
    lines = {"what": "shipped weights"}
    for name in sorted(read_manifest()):
        found = _run(find_run(f"{WORD}/{name}")[0])
        lines[f"{WORD}/{name}"] = f"{found['trained']}, {found['parameters']} parameters, {found['data']}"
    return lines


def _busy(path: Path) -> Lines:
    """Who writes it now."""
    return {"in use by": who} if (who := holder(path)) else {}


def _listed(facts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MB" if count < 2**30 else f"{count / 2**30:.2f} GB"
