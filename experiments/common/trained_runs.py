"""Trained runs: one record, one loader, and checks that runs can be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import nn

from agent.data.replay import Replay
from agent.training.runs import CHECKPOINT, load_model
from experiments.common.pretrained import find_run
from world_models.interface import Generative, Trainable
from world_models.registry import MODELS
from world_models.spec import ModelSpec

SUBJECT = ("layout", "environment", "dataset", "video")  # identifies the maze, environment or kind of videos
FACTS = ("model", "preset", "variant", "config", "recipe", "precision", "seed", *SUBJECT, "data_seed")


KINDS = {"layout": "maze", "environment": "environment"}
"""kinds of training data besides videos, by what a checkpoint then records"""
NEEDED = {"maze": "maze data", "acting": "data from 'jumpy collect'", "videos": "videos"}
Capability = TypeVar("Capability")


@dataclass(frozen=True)
class TrainedRun:
    """A trained model with the facts in its checkpoint."""

    path: Path
    """run folder or checkpoint file"""
    name: str
    """its name in results: its path, or pretrained/MODEL-VARIANT"""
    label: str
    """its name in figures, by default its model"""
    model: nn.Module
    training: dict[str, Any]
    """what defines it: model, preset, variant, config, recipe, seed; layout, or dataset and video"""
    step: int
    """training steps taken"""
    seconds: dict[str, float] | None
    """training time by device; unknown for older runs"""

    def able(self, capability: type[Capability]) -> Capability:
        """The model as one that has a capability of `world_models.interface`, or is of a class.

        Raises:
            ValueError: if it is not.
        """
        if isinstance(self.model, capability):
            return self.model
        raise ValueError(
            f"{self.name} cannot be used here: {self.training['model']} is not {capability.__name__}, see "
            "world_models/interface.py"
        )

    @property
    def shown(self) -> int:
        """Frames of a video that the model sees before it predicts the rest: as many as in its paper, if it can."""
        spec = MODELS.get(self.training["model"])
        if spec is None:
            return ModelSpec.shown
        return min(spec.shown, self.able(Generative).context) if spec.bounded_context else spec.shown

    @property
    def checkpoint(self) -> str:
        """SHA-256 of the checkpoint, which changes when the run is trained further."""
        file = self.path / CHECKPOINT if self.path.is_dir() else self.path
        return hashlib.sha256(file.read_bytes()).hexdigest()

    @property
    def facts(self) -> dict[str, Any]:
        """What results record about the run."""
        known = {name: self.training[name] for name in FACTS if name in self.training}
        about = {"run": self.name, "checkpoint": self.checkpoint}
        return about | {"trained_steps": self.step, "trained_seconds": self.seconds} | known

    def suits(self, replay: Replay) -> bool:
        """Whether a data set is of the same maze, or the same kind of videos, as the training data."""
        origin = _origin(replay)
        return all(origin.get(name) == self.training.get(name) for name in SUBJECT)

    def data_of(self, replays: Sequence[Replay]) -> Replay:
        """The first data set that suits the run.

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
    data: Literal["maze", "acting", "videos"] | None = None,
    label: str = "",
) -> TrainedRun:
    """Load a trained run in evaluation mode.

    Args:
        source: a run folder, a checkpoint file, or shipped weights (`pretrained/MODEL-VARIANT`).
        model: the required model, if any.
        device: where to put it.
        data: the required kind of training data, if any; acting is that of a maze or an environment.
        label: its name in figures, by default its model; `pretrained` alone means the weights of this model.

    Raises:
        ValueError: if the run is missing, damaged, or of another model or other data.
    """
    path, name = find_run(str(source), label or model or "")
    network, meta = load_model(path, device)
    training = meta["run"]
    if model not in (None, training["model"]):
        raise ValueError(f"{name} is a run of {training['model']}: give a run of {model}")
    trained_on = next((kind for name, kind in KINDS.items() if name in training), "videos")
    if data not in (None, trained_on) and not (data == "acting" and trained_on in KINDS.values()):
        others = "; benchmark, plot, report and predict take this one" if trained_on == "environment" else ""
        raise ValueError(f"{name} was trained on {place_of(training)}: give a run of {NEEDED[data]}{others}")
    label = label or training["model"]
    return TrainedRun(path, name, label, network, training, meta["step"], meta.get("trained_seconds"))


def check_same_likelihood(runs: Sequence[TrainedRun]) -> None:
    """Check that the ELBOs of runs can be compared: they use the same likelihood and the same frames.

    Raises:
        ValueError: if the runs differ in an option that determines the likelihood.
    """
    for run in runs[1:]:
        for name in ("sigma", "context", "window"):
            ours, theirs = (getattr(each.able(Trainable).config.options, name) for each in (runs[0], run))
            if ours != theirs:
                found = f"{runs[0].name} has {name} {ours}, {run.name} {theirs}"
                raise ValueError(f"{found}, so their bounds cannot be compared: give runs with the same {name}")


def check_agreement(runs: Sequence[TrainedRun]) -> None:
    """Check that runs can form one row: the same settings, and different training seeds per model.

    Raises:
        ValueError: if they cannot; the message names the difference.
    """
    for name in ("variant", "preset", "layout"):
        values: dict[str, str] = {}
        for run in runs:
            values.setdefault(run.training[name], run.name)
        if len(values) > 1:
            found = ", ".join(f"{value} ({run})" for value, run in values.items())
            raise ValueError(f"all runs need the same {name}, got {found}: measure them separately")
    for model in dict.fromkeys(run.training["model"] for run in runs):
        seeds = [run.training["seed"] for run in runs if run.training["model"] == model]
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"runs of {model} need different training seeds, got {seeds}: give each seed once")


def place_of(facts: Mapping[str, Any]) -> str:
    """The maze, environment or videos that a run's training, or a benchmark's summary, is about."""
    if "layout" in facts:
        return f"layout {facts['layout']}"
    if "environment" in facts:
        known = facts["environment"]
        return f"environment {known['--env']}" if "--env" in known else f"Minari's {known['minari']}"
    return f"videos ({facts['dataset']})"


def _origin(replay: Replay) -> dict[str, Any]:
    """What a checkpoint records about its data, after the conversion to JSON and back."""
    return json.loads(json.dumps(replay.manifest.origin))


def _described(origin: dict[str, Any], other: dict[str, Any]) -> str:
    """What data show; for videos of the same kind including the settings that differ."""
    if "layout" in origin:
        return f"layout {origin['layout']}"
    if "environment" in origin:
        return ", ".join(f"{name} {value}" for name, value in origin["environment"].items())
    if "dataset" not in other or origin["dataset"] != other["dataset"]:
        return origin["dataset"]
    settings = [f"{name} {value}" for name, value in origin["video"].items() if value != other["video"].get(name)]
    return f"{origin['dataset']} with {', '.join(settings)}"
