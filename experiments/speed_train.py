"""`jumpy speed train`: how long a training step takes, and how much of it goes into loading its batch."""

from __future__ import annotations

import json
import resource
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent.collect import CollectConfig, collect
from agent.files import write_file
from agent.replay import Replay
from agent.train import TrainConfig, Trainer, choose_device
from agent.versions import versions
from envs.jitter import Camera
from world_models.build import build_model


@dataclass(frozen=True)
class SpeedTrainConfig:
    """Measure training steps of every model on freshly collected data."""

    models: tuple[str, ...] = ("hrssm", "rssm")
    """which world models"""
    preset: str = "quick"
    """their sizes"""
    variant: str = "ours"
    """their options"""
    steps: int = 20
    """steps measured, after three for warming up; medians are reported"""
    device: str = "auto"
    """auto, cpu or cuda"""
    json: Path | None = None
    """write the numbers to this file too"""


def speed_train(config: SpeedTrainConfig) -> None:
    """Print, and write if asked, seconds a step, frames a second, the share of loading and the peak memory.

    Raises:
        ValueError: an unknown model, preset, variant or device, or no steps.
    """
    if config.steps < 1:
        raise ValueError(f"--steps must be at least 1, got {config.steps}")
    device = choose_device(config.device)
    for name in config.models:
        build_model(name, config.preset, config.variant, Camera().size)  # refuses unknown names before collecting
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        replay = collect(CollectConfig(Path(folder) / "data", steps=20_000))
        for name in config.models:
            result[name] = {config.preset: _measure(name, config, replay, device)}
            row = result[name][config.preset]
            print(
                f"{name} {config.preset}: {row['step_s']:.3f} s a step, {row['frames_per_s']:,.0f} frames/s, "
                f"{row['loading_share']:.1%} of it loading, {row['peak_rss_gb']:.2f} GB at most"
            )
    if config.json is not None:
        about = {"device": str(device), "threads": torch.get_num_threads(), "versions": versions()}
        write_file(config.json, json.dumps(result | about, indent=2).encode())


def _measure(name: str, config: SpeedTrainConfig, replay: Replay, device: torch.device) -> dict[str, float]:
    """Time `Trainer.update` and, apart from it, the loading of a batch."""
    training: Any = {"model": name, "preset": config.preset, "variant": config.variant, "device": str(device)}
    trainer = Trainer(TrainConfig(replay.folder, replay.folder, **training), replay, device)
    batch, length = trainer.recipe.batch_size, trainer.model.window_length
    rng = np.random.default_rng(0)
    steps, loads = [], []
    for _ in range(config.steps + 3):
        since = time.perf_counter()
        trainer.update()
        if device.type == "cuda":
            torch.cuda.synchronize()
        middle = time.perf_counter()
        replay.sample(rng, batch, length)
        steps.append(middle - since)
        loads.append(time.perf_counter() - middle)
    step = statistics.median(steps[3:])
    return {
        "step_s": step,
        "frames_per_s": batch * length / step,
        "loading_share": statistics.median(loads[3:]) / step,
        "peak_rss_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }
