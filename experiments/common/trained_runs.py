"""Runs that belong together: the training seeds of HRSSM, and RSSM beside each."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from agent.data.batch import to_batch
from agent.data.replay import Replay
from agent.training.evaluate import EvaluationConfig
from agent.training.runs import load_model


class Trained(NamedTuple):
    """A trained run."""

    path: Path
    model: Any
    training: dict[str, Any]
    """what defines it: model, preset, variant, layout, seed, ..."""
    step: int


def load_run_of(path: Path, kind: str, device: torch.device, videos: bool = False) -> Trained:
    """Load a run of a kind of model, trained in a maze or on videos."""
    model, meta = load_model(path, device)
    if meta["run"]["model"] != kind:
        raise ValueError(f"{path} is a run of {meta['run']['model']}: give --{kind} runs of {kind}")
    if ("layout" in meta["run"]) == videos:
        where, wanted = ("in a maze", "videos") if videos else ("on videos", "maze data")
        raise ValueError(f"{path} was trained {where}: give --{kind} runs of {wanted}")
    return Trained(path, model, meta["run"], meta["step"])


def open_data(path: Path, run: Trained) -> Replay:
    """Open the data set, which must be of the runs' maze."""
    replay = Replay.open(path)
    if replay.layout.name != run.training["layout"]:
        raise ValueError(
            f"{path} was collected in {replay.layout.name}, {run.path} was trained on {run.training['layout']}: "
            "give --data of the same layout"
        )
    return replay


def check_bounds(hrssm: Iterable[Trained], rssm: Iterable[Trained]) -> None:
    """Refuse to compare bounds of other likelihoods or other frames."""
    for one, other in zip(hrssm, rssm, strict=True):
        for name in ("sigma", "context", "window"):
            values = [getattr(run.model.config.options, name) for run in (one, other)]
            if values[0] != values[1]:
                raise ValueError(f"{one.path} has {name} {values[0]}, {other.path} {values[1]}: their bounds differ")


def check_agreement(runs: list[Trained]) -> None:
    """Refuse runs that do not make one row together, naming what differs."""
    for name in ("variant", "preset", "layout"):
        values: dict[str, Path] = {}
        for run in runs:
            values.setdefault(run.training[name], run.path)
        if len(values) > 1:
            told = ", ".join(f"{value} ({path})" for value, path in values.items())
            raise ValueError(f"all runs need the same {name}, got {told}: measure them one after the other")
    for kind in ("hrssm", "rssm"):
        seeds = [run.training["seed"] for run in runs if run.training["model"] == kind]
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"--{kind} needs runs of different training seeds, got the seeds {seeds}")


@torch.no_grad()
def negative_bounds(hrssm: Trained, rssm: Trained, replay: Replay, config: EvaluationConfig) -> dict[str, np.ndarray]:
    """Negative lower bound of both models on the same test batches, from the same lengths of context.

    Their windows begin together, and those that look further ahead read more frames of the same slice.

    Returns:
        ``hrssm`` and ``rssm``: nats a frame without the likelihood's constant, one entry a batch.
    """
    rng = np.random.default_rng(config.seed)
    length = max(hrssm.model.window_length, rssm.model.window_length)
    device = next(hrssm.model.parameters()).device
    bounds: dict[str, list[float]] = {"hrssm": [], "rssm": []}
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for number in range(config.batches):
            fields = replay.sample(rng, config.batch_size, length, "test")
            for (name, values), run in zip(bounds.items(), (hrssm, rssm), strict=True):
                assert run.training["model"] == name
                cut = {key: value[:, : run.model.window_length] for key, value in fields.items()}
                torch.manual_seed(config.seed + number)  # lengths of context are drawn first
                values.append(float(run.model.loss(to_batch(cut, device), run.step).metrics["nelbo"]))
    return {name: np.array(values) for name, values in bounds.items()}
