"""Fixed baselines that know nothing about videos: the floor for every model.

They are hard to beat: in Moving MNIST a black frame is right nearly everywhere, and SSIM weights every place equally.
Where nobody can know what comes next, the mean of all frames is the best of guesses by squared error.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from agent.data.replay import Replay
from experiments.common.trained_runs import TrainedRun
from world_models.blocks.images import LEVELS

Kind = Literal["last-frame", "black", "mean-frame"]
FLOORS = get_args(Kind)


class Floor(nn.Module):
    """Repeats one frame: the last of the context, unless it is given another; it has no parameters."""

    context, generation_modes = 1, ("full",)

    def __init__(self, frame: Float[Tensor, "3 h w"] | None = None) -> None:
        super().__init__()
        self.frame = frame

    def generate(
        self,
        x: Float[Tensor, "b t 3 h w"],
        a: Int64[Tensor, "b t_1"],
        length: Int64[Tensor, " b"],
        actions: Int64[Tensor, "b k"],
        mode: str = "full",
    ) -> tuple[Float[Tensor, "b k 3 h w"], None]:
        """As in `Generative`; every sample is the same."""
        frame = x[:, -1:] if self.frame is None else self.frame.to(x).expand_as(x[:, -1:])
        return frame.expand(-1, actions.shape[1], -1, -1, -1), None


class Baseline(TrainedRun):
    """A fixed baseline in place of a trained run."""

    @property
    def facts(self) -> dict[str, Any]:
        """Its name and the data set."""
        return self.training


def fixed_baseline(kind: Kind, replay: Replay) -> Baseline:
    """A fixed baseline on a data set."""
    origin = json.loads(json.dumps(replay.manifest.origin))
    frame = None
    if kind != "last-frame":
        frame = _mean(replay) if kind == "mean-frame" else torch.full((3, 1, 1), -1.0)
    return Baseline(Path(), kind, kind, Floor(frame), {"model": kind, **origin}, step=0, seconds={})


def _mean(replay: Replay) -> Float[Tensor, "3 h w"]:
    """The mean of all training frames, channels in [-1, 1]."""
    split, total, frames = replay.split("train"), np.zeros(1), 0
    for first, fields in replay.shards():
        inside = fields["observation"][max(split.start - first, 0) : max(split.stop - first, 0)]
        for video in inside:
            total = total + video.sum(0, dtype=np.int64)
            frames += len(video)
    mean = torch.from_numpy(np.broadcast_to(total / frames, (*total.shape[:2], 3)).copy()).float()
    return (mean.movedim(-1, 0) / 127.5 - 1) * (LEVELS - 1) / LEVELS  # which `to_uint8` undoes
