"""Trained runs: one record, one loader, and checks that runs belong together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from agent.data.replay import Replay
from agent.training.runs import CHECKPOINT, load_model
from experiments.common.pretrained import find_run

FACTS = ["model", "preset", "variant", "config", "recipe", "precision", "seed"]
FACTS += ["layout", "dataset", "video", "data_seed"]
SUBJECT = ("layout", "dataset", "video")
"""what tells the data of one maze or kind of videos from others"""


@dataclass(frozen=True)
class TrainedRun:
    """A trained model with what its checkpoint says of it."""

    path: Path
    """run folder or checkpoint file"""
    name: str
    """how results call it: its path, or pretrained/MODEL-VARIANT"""
    label: str
    """how figures call it: by default its model"""
    model: Any
    training: dict[str, Any]
    """what defines it: model, preset, variant, config, recipe, seed; layout, or dataset and video"""
    step: int
    """training steps taken"""
    seconds: dict[str, float] | None
    """how long it was trained, by device; older runs do not know it"""

    @property
    def checkpoint(self) -> str:
        """SHA-256 of the checkpoint: a run that was trained further has another one."""
        file = self.path / CHECKPOINT if self.path.is_dir() else self.path
        return hashlib.sha256(file.read_bytes()).hexdigest()

    @property
    def facts(self) -> dict[str, Any]:
        """What results say of the run."""
        known = {name: self.training[name] for name in FACTS if name in self.training}
        about = {"run": self.name, "checkpoint": self.checkpoint}
        return about | {"trained_steps": self.step, "trained_seconds": self.seconds} | known

    def suits(self, replay: Replay) -> bool:
        """Whether a data set is of the maze, or holds the kind of videos, that the run was trained on."""
        origin = _origin(replay)
        return all(origin.get(name) == self.training.get(name) for name in SUBJECT)

    def data_of(self, replays: Sequence[Replay]) -> Replay:
        """The first of these data sets that suits the run.

        Raises:
            ValueError: if none does.
        """
        for replay in replays:
            if self.suits(replay):
                return replay
        held = [f"{each.folder} holds {_described(_origin(each), self.training)}" for each in replays]
        trained_on = _described(self.training, _origin(replays[0]))
        raise ValueError(f"{', '.join(held)}, {self.name} was trained on {trained_on}: give --data of the same")


def load_trained(
    source: str | Path,
    model: str | None = None,
    device: torch.device | str = "cpu",
    data: Literal["maze", "videos"] | None = None,
    label: str = "",
) -> TrainedRun:
    """Load a trained run in evaluation mode.

    Args:
        source: a run folder, a checkpoint file, or shipped weights (`pretrained/MODEL-VARIANT`).
        model: the model that it must be of; None: any.
        device: where to put it.
        data: what it must have been trained on; None: either.
        label: its name in figures; default: its model. `pretrained` alone means the weights of the model of this name.

    Raises:
        ValueError: if there is no such run, it is damaged, or of another model or other data.
    """
    path, name = find_run(str(source), label or model or "")
    network, meta = load_model(path, device)
    training = meta["run"]
    if model not in (None, training["model"]):
        raise ValueError(f"{name} is a run of {training['model']}: give a run of {model}")
    trained_on = "maze" if "layout" in training else "videos"
    if data not in (None, trained_on):
        words = {"maze": "maze data", "videos": "videos"}
        raise ValueError(f"{name} was trained on {words[trained_on]}: give a run of {words[data]}")
    return TrainedRun(
        path, name, label or training["model"], network, training, meta["step"], meta.get("trained_seconds")
    )


def check_same_likelihood(runs: Sequence[TrainedRun]) -> None:
    """Check that the runs' bounds can be compared: they are of the same likelihood and the same frames.

    Raises:
        ValueError: if the runs differ in an option that decides the likelihood.
    """
    for run in runs[1:]:
        for name in ("sigma", "context", "window"):
            ours, theirs = (getattr(each.model.config.options, name) for each in (runs[0], run))
            if ours != theirs:
                raise ValueError(
                    f"{runs[0].name} has {name} {ours}, {run.name} {theirs}, so their bounds cannot be compared: give "
                    "runs with the same"
                )


def check_agreement(runs: Sequence[TrainedRun]) -> None:
    """Check that runs make one row together: the same settings, and of each model different training seeds.

    Raises:
        ValueError: if they do not; it names what differs.
    """
    for name in ("variant", "preset", "layout"):
        values: dict[str, str] = {}
        for run in runs:
            values.setdefault(run.training[name], run.name)
        if len(values) > 1:
            found = ", ".join(f"{value} ({run})" for value, run in values.items())
            raise ValueError(f"all runs need the same {name}, got {found}: measure them one after the other")
    for model in dict.fromkeys(run.training["model"] for run in runs):
        seeds = [run.training["seed"] for run in runs if run.training["model"] == model]
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"runs of {model} need different training seeds, got {seeds}: give each seed once")


def _origin(replay: Replay) -> dict[str, Any]:
    """What a run that is trained on the data notes of it, as a checkpoint gives it back."""
    return json.loads(json.dumps(replay.manifest.origin))


def _described(origin: dict[str, Any], other: dict[str, Any]) -> str:
    """What data is of; for videos of the same kind with the settings that differ."""
    if "layout" in origin:
        return f"layout {origin['layout']}"
    if origin["dataset"] != other.get("dataset"):
        return origin["dataset"]
    settings = [f"{name} {value}" for name, value in origin["video"].items() if value != other["video"].get(name)]
    return f"{origin['dataset']} with {', '.join(settings)}"
