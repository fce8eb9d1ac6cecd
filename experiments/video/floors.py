"""Fixed baselines that know nothing about videos: the floor for every model.

They are hard to beat: in Moving MNIST a black frame is right nearly everywhere, and SSIM weights every place equally.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from agent.data.replay import Replay
from experiments.common.trained_runs import TrainedRun

FLOORS = ("last-frame", "black")


class Floor(nn.Module):
    """Repeats the last frame of the context, or predicts black frames; it has no parameters."""

    context, generation_modes = 1, ("full",)

    def __init__(self, kind: Literal["last-frame", "black"]) -> None:
        super().__init__()
        self.kind = kind

    def generate(
        self,
        x: Float[Tensor, "b t 3 h w"],
        a: Int64[Tensor, "b t_1"],
        length: Int64[Tensor, " b"],
        actions: Int64[Tensor, "b k"],
        mode: str = "full",
    ) -> tuple[Float[Tensor, "b k 3 h w"], None]:
        """As in `Generative`; every sample is the same."""
        frame = x[:, -1:] if self.kind == "last-frame" else torch.full_like(x[:, -1:], -1)
        return frame.expand(-1, actions.shape[1], -1, -1, -1), None


class Baseline(TrainedRun):
    """A fixed baseline in place of a trained run."""

    @property
    def facts(self) -> dict[str, Any]:
        """Its name and the data set."""
        return self.training


def fixed_baseline(kind: Literal["last-frame", "black"], replay: Replay) -> Baseline:
    """A fixed baseline on a data set."""
    origin = json.loads(json.dumps(replay.manifest.origin))
    return Baseline(Path(), kind, kind, Floor(kind), {"model": kind, **origin}, step=0, seconds={})
