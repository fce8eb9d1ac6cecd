"""Tiny runs on videos, as a training leaves them."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from agent.data.make_videos import VideosConfig, make_videos
from agent.data.replay import Replay
from agent.training.runs import CHECKPOINT, save_run
from tests.support.tiny import PATCH
from world_models import cwvae, rssm
from world_models.dlh import dlh
from world_models.dlh import options as dlh_options
from world_models.hrssm import hrssm
from world_models.hrssm import options as hrssm_options

FRAMES, TESTED = 24, 4
SECONDS = {"a GPU": 90.0, "a CPU, 1 thread": 30.0}


def videos(folder: Path, recolour: float = 0.0) -> Path:
    """Moving Ball, with four test videos of 24 frames."""
    make_videos(VideosConfig(folder, "moving-ball", sequences=5 * TESTED, length=FRAMES, recolour=recolour))
    return folder


def model_of(kind: str, **options: Any) -> Any:
    """A tiny model with random weights; rssm and hrssm learn from contexts of six frames."""
    torch.manual_seed(0)
    levels = dlh_options.DLHSizes(images="patch", channels=8, embedding=10, belief=12, state=4, hidden=8)
    clocks = cwvae.CWVAESizes(images="patch", channels=8, embedding=10, belief=12, state=4)
    short: dict[str, Any] = {"window": 12, "context": 6} | options
    if kind == "dlh":
        own = dlh_options.DLHOptions(**{"levels": 2} | short)
        return dlh.DLH(dlh_options.DLHConfig(levels, own, 32, 0))
    if kind == "cwvae":
        return cwvae.CWVAE(cwvae.CWVAEConfig(clocks, cwvae.CWVAEOptions(**short), 32, 0))
    if kind == "rssm":
        return rssm.RSSM(rssm.RSSMConfig(PATCH, rssm.RSSMOptions(**short), 32, 0))
    return hrssm.HRSSM(hrssm_options.HRSSMConfig(PATCH, hrssm_options.HRSSMOptions(**short), 32, 0))


def run_of(kind: str, data: Path, out: Path, seconds: dict[str, float] | None = SECONDS, **options: Any) -> Path:
    """A run of an untrained model on a data set; two minutes long unless it is told otherwise."""
    model = model_of(kind, **options)
    run = {"model": kind, "preset": "quick", "variant": "paper", "config": asdict(model.config), "seed": 0}
    out.mkdir(parents=True)
    optimiser = torch.optim.Adam(model.parameters())
    save_run(out / CHECKPOINT, model, optimiser, 7, run | Replay.open(data).manifest.origin, seconds)
    return out
