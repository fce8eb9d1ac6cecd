"""Tiny runs on videos, as a training leaves them."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from agent.data.make_videos import VideosConfig, make_videos
from agent.data.replay import Replay
from agent.training.runs import CHECKPOINT, save_run
from envs.videos import MovingBall
from tests.support.tiny import PATCH
from world_models import cwvae, lmc_memory
from world_models.dlh import options as dlh_options
from world_models.interface import ModelConfig
from world_models.registry import MODELS

FRAMES, TESTED = 24, 4
SECONDS = {"a GPU": 90.0, "a CPU, 1 thread": 30.0}


def videos(folder: Path, recolour: float = 0.0) -> Path:
    """Moving Ball, with four test videos of 24 frames."""
    make_videos(VideosConfig(folder, MovingBall(recolour=recolour), sequences=5 * TESTED, length=FRAMES))
    return folder


def model_of(kind: str, **options: Any) -> Any:
    """A tiny model with random weights; rssm and hrssm learn from contexts of six frames."""
    torch.manual_seed(0)
    levels = dlh_options.DLHSizes(images="patch", channels=8, embedding=10, belief=12, state=4, hidden=8)
    clocks = cwvae.CWVAESizes(images="patch", channels=8, embedding=10, belief=12, state=4)
    memory = lmc_memory.LMCMemorySizes(channels=8, layers=2, memory=16, slots=5, gate=3)
    short: dict[str, Any] = {"window": 12, "context": 6} | options
    if kind == "lmc-memory":
        short = {"context": 10, "predicted": 4, "long": 12, "first_predicted": 2, "channels": 3} | options
    sizes = {"dlh": levels, "cwvae": clocks, "lmc-memory": memory}.get(kind, PATCH)
    spec = MODELS[kind]
    faithful = next(iter(spec.variants.values()))
    chosen = replace(faithful, **({"levels": 2} if kind == "dlh" else {}) | short)
    return spec.network(ModelConfig(sizes, chosen, 32, 0))


def run_of(kind: str, data: Path, out: Path, seconds: dict[str, float] | None = SECONDS, **options: Any) -> Path:
    """A run of an untrained model on a data set; two minutes long unless it is told otherwise."""
    model = model_of(kind, **options)
    run = {"model": kind, "preset": "quick", "variant": "paper", "config": asdict(model.config), "seed": 0}
    out.mkdir(parents=True)
    optimiser = torch.optim.Adam(model.parameters())
    save_run(out / CHECKPOINT, model, optimiser, 7, run | Replay.open(data).manifest.origin, seconds)
    return out
