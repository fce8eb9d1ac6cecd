"""Trained runs on videos and the floor beside them, what is told of them, and the rows of results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch

from agent.data.replay import Replay
from agent.training.runs import load_model
from experiments.common.bootstrap import Estimate
from experiments.navigation.agents import checkpoint_sha256
from experiments.video.floors import Floor
from experiments.video.published import Published


class VideoRun(NamedTuple):
    """A run that was trained on videos; or a floor, which was not."""

    path: Path | None
    """None: a floor"""
    model: Any
    training: dict[str, Any]
    """what defines it: model, preset, variant, dataset, video, seed, …"""
    step: int
    seconds: dict[str, float] | None
    """how long it was trained, by device; older runs do not know it"""

    @classmethod
    def load(cls, path: Path, kind: str, device: torch.device) -> VideoRun:
        """Load a run.

        Raises:
            ValueError: if there is none, it is of another kind of model, or it was trained in a maze.
        """
        model, meta = load_model(path, device)
        training = meta["run"]
        if training["model"] != kind:
            raise ValueError(f"{path} is a run of {training['model']}, asked for is {kind}: give a run of {kind}")
        if "dataset" not in training:
            raise ValueError(f"{path} was trained in a maze: give a run that was trained on videos")
        return cls(path, model, training, meta["step"], meta.get("trained_seconds"))

    @classmethod
    def floor(cls, kind: Any, replay: Replay) -> VideoRun:
        """What needs no training.

        Raises:
            ValueError: if the data set holds no videos.
        """
        origin = json.loads(json.dumps(replay.manifest.origin))
        if "dataset" not in origin:
            raise ValueError(f"{replay.folder} holds no videos: give --data of 'jumpy videos' or 'jumpy import'")
        return cls(None, Floor(kind), {"model": kind, **origin}, 0, {})

    @property
    def dataset(self) -> str:
        """The data set's name in results, with lambda where colours change by chance."""
        name, chance = self.training["dataset"], self.training["video"].get("recolour")
        return f"{name}, λ = {chance:g}" if chance else name

    def suits(self, replay: Replay) -> bool:
        """Whether a data set holds the videos that the run was trained on."""
        return self._seen() == self._shown(replay)

    def check(self, replay: Replay) -> None:
        """Refuse a data set of other videos."""
        if not self.suits(replay):
            shown, seen = self._shown(replay), self._seen()
            raise ValueError(
                f"{replay.folder} holds {_told(shown, seen)}, {self.path} was trained on {_told(seen, shown)}: "
                "give --data of the same videos"
            )

    def _seen(self) -> list[Any]:
        return [self.training["dataset"], self.training["video"]]

    def _shown(self, replay: Replay) -> list[Any]:
        origin = json.loads(json.dumps(replay.manifest.origin))
        return [origin.get("dataset"), origin.get("video")]

    @property
    def facts(self) -> dict[str, Any]:
        """What results say of the run."""
        names = ("model", "preset", "variant", "config", "recipe", "precision", "seed", "dataset", "video", "data_seed")
        known = {name: self.training[name] for name in names if name in self.training}
        if self.path is None:
            return known
        return {
            "run": str(self.path),
            "checkpoint": checkpoint_sha256(self.path),
            "trained_steps": self.step,
            "trained_seconds": self.seconds,
            **known,
        }

    def row(self, model: str, metric: str, estimate: Estimate | None, published: Published | None) -> dict[str, Any]:
        """A row of a result; without an estimate its value is n/a."""
        return row(
            model,
            self.dataset,
            metric,
            estimate,
            published,
            trained_minutes=None if self.seconds is None else sum(self.seconds.values()) / 60,
            device=" + ".join(self.seconds or ()) or None,
        )

    @property
    def parameters(self) -> int:
        """How many numbers were trained."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def row(
    model: str,
    dataset: str,
    metric: str,
    estimate: Estimate | None,
    published: Published | None,
    trained_minutes: float | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    """A row of a result as JSON, the paper's number beside ours; None for what nobody measured."""
    ends = None if estimate is None else [_number(estimate.low), _number(estimate.high)]
    numbers = {
        "model": model,
        "dataset": dataset,
        "metric": metric,
        "value": None if estimate is None else _number(estimate.value),
        "ci95": None if ends is None or None in ends else ends,
        "published": None if published is None else published.value,
        "trained_minutes": trained_minutes,
        "device": device,
    }
    if published is not None and published.deviation is not None:
        numbers["published_deviation"] = published.deviation
    return numbers


def _number(value: float) -> float | None:
    return value if value == value else None  # NaN is not equal to itself


def _told(videos: list[Any], others: list[Any]) -> str:
    """What a data set is, for people, as far as another differs."""
    (name, video), (other, its) = videos, others
    if name is None:
        return "no videos"
    if name != other:
        return name
    return f"{name} with {', '.join(f'{key} {value}' for key, value in video.items() if value != its.get(key))}"
