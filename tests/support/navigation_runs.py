"""Runs of random weights, as `jumpy train` leaves them."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from agent.training.runs import CHECKPOINT, save_run
from envs.layout import Layout
from world_models.registry import build_model


def untrained(folder: Path, kind: str, layout: str = "paper", seed: int = 0) -> Path:
    """A run folder with a model of random weights."""
    torch.manual_seed(seed)
    model: Any = build_model(kind, "quick", "ours", 32)
    run: dict[str, Any] = {"model": kind, "preset": "quick", "variant": "ours", "seed": seed, "layout": layout}
    run |= {"config": asdict(model.config), "rows": list(Layout.parse(layout).rows)}
    folder.mkdir(parents=True)
    save_run(folder / CHECKPOINT, model, torch.optim.Adam(model.parameters()), 7, run)
    return folder
