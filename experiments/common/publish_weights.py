"""`jumpy ship`: the weights of a finished run become package data, with a record of how they were made."""

from __future__ import annotations

import hashlib
import json
import math
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from torch import nn

from agent.system.atomic_files import locked, write_file, write_json
from agent.system.versions import commit
from agent.training.runs import CHECKPOINT, load_model, save_weights
from experiments.common import pretrained
from experiments.common.hub_folder import results_table, write_hub_folder
from experiments.common.json_files import read_json
from experiments.common.results import check_not_installed
from world_models.options import split_label

RECORDED = (
    "model",
    "preset",
    "variant",
    "config",
    "recipe",
    "seed",
    "layout",
    "environment",
    "data_seed",
    "data_length",
)
"""what the record takes from a run"""
LARGEST = 16_000_000  # bytes per file of weights


@dataclass(frozen=True)
class ShipConfig:
    """Put the weights of a finished run into this package, for `--agents NAME=pretrained/MODEL-VARIANT`."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder or checkpoint of the training."""
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """Its model and variant, such as hrssm-ours."""
    frames: int
    """Frames in its data set."""
    minutes: float
    """Wall time of the training."""
    device: str
    """What it was trained on, such as "2 cores of a Xeon" or "NVIDIA H100"."""
    command: str | None = None
    """How to train it again; default: the `jumpy` commands derived from its checkpoint."""
    commit: str | None = None
    """Commit of the code that trained it; default: the one checked out here."""
    overwrite: bool = False
    """Replace shipped weights of this name."""
    hub: Path | None = None
    """Write a folder in the layout of the Hugging Face hub instead: model.safetensors, config.json, README.md."""
    benchmark: Path | None = None
    """Folder of a benchmark whose numbers the hub's README shows."""

    def __post_init__(self) -> None:
        """Validate the numbers and the device."""
        for option, value in (("--frames", self.frames), ("--minutes", self.minutes)):
            if not 0 < value < math.inf:
                raise ValueError(f"{option} must be more than 0, got {value}")
        if self.benchmark and not self.hub:
            raise ValueError("--benchmark is for the README of --hub: give both")
        if not self.device.strip():
            raise ValueError(f"--device must say what the run was trained on, got {self.device!r}")


def ship(config: ShipConfig) -> Path:
    """Write and return the file of weights, without the optimiser, then write the manifest, each atomically.

    After a kill between the two, loading the weights is an error until this is called again.

    Raises:
        ValueError: if the run is unfinished or does not match the name, the file would be too large, or the name is
            already shipped (unless overwritten); nothing is changed then.
    """
    if config.hub:
        return _to_hub(config, config.hub)
    if "environment" in load_model(config.run)[1]["run"]:
        raise ValueError(f"{config.run} was not trained in a maze, as all shipped weights are: write it to --hub")
    check_not_installed(pretrained.FOLDER, "ship from a clone")
    path = pretrained.weights_file(config.name)
    if config.name in pretrained.read_manifest() and not config.overwrite:
        raise ValueError(f"{config.name} is shipped already: add --overwrite to replace it")
    model, meta = load_model(config.run)
    _check(config, meta)
    content = _content(model, meta)
    if len(content) >= LARGEST:
        size = f"{len(content) / 1e6:.1f} MB, must be smaller than {LARGEST / 1e6:g} MB"
        raise ValueError(f"weights of {config.run} have {size}: ship a smaller preset")
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)} | _record(config, meta)
    with locked(pretrained.FOLDER, wait=True):
        manifest = pretrained.read_manifest() | {config.name: entry}
        write_file(path, content)
        write_json(pretrained.FOLDER / pretrained.MANIFEST, dict(sorted(manifest.items())))
    print(f"{config.run} is shipped as {pretrained.WORD}/{config.name}: {path}, {len(content) / 1e6:.1f} MB")
    return path


def _to_hub(config: ShipConfig, folder: Path) -> Path:
    """Write and return a folder for the hub."""
    model, meta = load_model(config.run)
    _check(config, meta)
    results = None
    if config.benchmark:
        file = config.run / CHECKPOINT if config.run.is_dir() else config.run
        summary = read_json(config.benchmark / "summary.json", "give the folder of a finished benchmark", agents=dict)
        results = results_table(summary, hashlib.sha256(file.read_bytes()).hexdigest())
    write_hub_folder(folder, _content(model, meta), config.name, _record(config, meta), results)
    print(f"{config.run} is written to {folder}: upload it with hf upload USER/{config.name} {folder}")
    return folder


def _content(model: nn.Module, meta: dict[str, Any]) -> bytes:
    """The file of weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_weights(path, model, meta)
        return path.read_bytes()


def _check(config: ShipConfig, meta: dict[str, Any]) -> None:
    """Check that a run is finished and matches the name."""
    run = meta["run"]
    places = ("environment", "data_length") if "environment" in run else ("layout",)
    if missing := [key for key in ("recipe", "seed", "data_seed", *places) if key not in run]:
        raise ValueError(f"{config.run} does not say its {', '.join(missing)}: ship a run of 'jumpy train'")
    if (called := f"{run['model']}-{run['variant']}") != config.name:
        raise ValueError(f"NAME must be the run's model and variant, {called}, got {config.name}: use {called}")
    if meta["step"] < (last := run["recipe"]["steps"]):
        raise ValueError(
            f"only a finished run can be shipped, {config.run} is at step {meta['step']} of {last}: "
            "continue with 'jumpy train --resume'"
        )


def _record(config: ShipConfig, meta: dict[str, Any]) -> dict[str, Any]:
    """How the weights were made."""
    run = meta["run"]
    if (checked_out := config.commit or commit()) is None:
        raise ValueError("this is not a git checkout, so the commit is unknown: give it with --commit")
    return {
        **{key: run[key] for key in RECORDED if key in run},
        "frames": config.frames,
        "steps": meta["step"],
        "command": config.command or _command(config, run),
        "minutes": config.minutes,
        "device": config.device,
        "versions": meta["versions"],
        "commit": checked_out,
    }


def _data_command(config: ShipConfig, run: dict[str, Any]) -> str:
    """The command that makes the data of the run."""
    known = run.get("environment", {"--layout": run.get("layout")})
    if "minari" in known:
        return f"jumpy import minari {known['minari']} --out DATA"
    words = ["jumpy", "collect", "--out", "DATA", "--steps", str(config.frames)]
    if "environment" in run:
        known = known | {"--camera.size": run["config"]["frame_size"], "--length": run["data_length"]}
    for name, value in (known | {"--seed": run["data_seed"]}).items():
        given = value if isinstance(value, list) else [json.dumps(value) if isinstance(value, dict) else value]
        words += [name, *map(str, given)] if given else []
    return shlex.join(words)


def _command(config: ShipConfig, run: dict[str, Any]) -> str:
    """The commands that make the data of the run and train it."""
    recipe, (variant, changes) = run["recipe"], split_label(run["variant"])
    options = f"--options {' '.join(changes)} " if changes else ""
    return (
        f"{_data_command(config, run)} && "
        f"jumpy train --data DATA --out RUN --model {run['model']} --preset {run['preset']} "
        f"--variant {variant} {options}--seed {run['seed']} --steps {recipe['steps']} "
        f"--batch-size {recipe['batch_size']} --learning-rate {recipe['learning_rate']}"
    )
